//! A service's calls as an OpenAPI 3.1 document, and a page that shows it.
//!
//! A service lists its calls in one place beside its URL table; what every service answers alike is described here, once.

/// One call.
mod call;
/// The codes of errors.
mod codes;
/// Errors as answers.
mod errors;
/// Calls that every service has.
mod everywhere;
/// Headers of requests and answers.
mod headers;
/// `/openapi.json` and `/docs`.
mod serving;
/// Schemas.
pub mod shapes;

use std::collections::BTreeMap;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, RefOr, Schema,
};
use utoipa::{PartialSchema, ToSchema};

pub use call::{Answer, Call};
pub use codes::*;
pub use headers::{CONDITIONAL_READ, CONDITIONAL_WRITE, EXCLUDING_WRITE, HeaderText};
pub use serving::docs;

/// The security scheme of access tokens.
pub const ACCESS_TOKEN: &str = "accessToken";

const ACCESS_TOKEN_TEXT: &str = "The `accessToken` that `POST /login` of auth-service gives, in `Authorization: Bearer`. \
    It lives for minutes.";

/// What holds for every call; it follows the service's own description.
const MANNERS: &str = "\n\nBodies are JSON objects (`application/json`, on \
    `PATCH` also `application/merge-patch+json`; at most 64 KB). Members that nobody knows are \
    ignored, `null` is as good as absent (as an empty parameter of a query is), and no name may stand twice.\n\nEvery error is `application/problem+json` \
    (RFC 9457); its `code` is stable and meant for programs. Every answer has an `X-Request-Id`, which leads to its lines \
    in the log, and `Cache-Control: no-store` where nothing else is said.\n\nWhat answers `GET` answers `HEAD` too, and `OPTIONS` lists the methods of every address.";

/// A document that is being written.
pub struct Document {
    builder: OpenApiBuilder,
    components: Components,
    paths: Paths,
    tags: Vec<(&'static str, &'static str)>,
}

impl Document {
    /// A document of the service `title`, with the calls that every service has.
    #[must_use]
    pub fn new(title: &str, version: &str, description: &str) -> Self {
        let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
        let info = InfoBuilder::new()
            .title(title)
            .version(version)
            .description(Some(format!("{description}{MANNERS}")))
            .license(Some(license.build()));
        let access =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(ACCESS_TOKEN_TEXT));
        let components = ComponentsBuilder::new()
            .schema("Problem", errors::problem())
            .security_scheme(ACCESS_TOKEN, SecurityScheme::Http(access.build()));
        let builder = OpenApiBuilder::new().info(info);
        let document = Self { builder, components: components.build(), paths: Paths::new(), tags: Vec::new() };
        document.calls(everywhere::calls())
    }

    /// Adds the tag `name`. Calls are shown under it in the order in which the tags are added.
    #[must_use]
    pub fn tag(mut self, name: &'static str, description: &'static str) -> Self {
        self.tags.push((name, description));
        self
    }

    /// Adds the security scheme `name`.
    #[must_use]
    pub fn security(mut self, name: &str, scheme: SecurityScheme) -> Self {
        self.components.add_security_scheme(name, scheme);
        self
    }

    /// Adds the schema of `T`, under its own name.
    #[must_use]
    pub fn schema<T: ToSchema + PartialSchema>(self) -> Self {
        self.named(&T::name(), T::schema())
    }

    /// Adds the schema `name`.
    #[must_use]
    pub fn named(mut self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.components.schemas.insert(name.to_owned(), schema.into());
        self
    }

    /// Adds calls.
    #[must_use]
    pub fn calls(mut self, calls: impl IntoIterator<Item = Call>) -> Self {
        for call in calls {
            let (path, method, operation) = call.finish(&mut self.components);
            self.paths.add_path_operation(path, vec![method], operation);
        }
        self
    }

    /// The finished document.
    #[must_use]
    pub fn finish(self) -> OpenApi {
        let shown = self.tags.into_iter().chain([everywhere::TAG]);
        let tags = shown.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
        self.builder.paths(self.paths).components(Some(self.components)).tags(Some(tags)).build()
    }
}

/// Errors, by status and in the order in which they were named; each once.
fn by_status(codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut sorted: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let those = sorted.entry(code.status).or_default();
        if those.iter().all(|known| known.name != code.name) {
            those.push(*code);
        }
    }
    sorted
}
