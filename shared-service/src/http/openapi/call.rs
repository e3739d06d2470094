use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Components, Ref, RefOr, Required, ResponseBuilder, Schema};

use super::codes::{self, Code};
use super::headers::{HeaderText, REQUEST_ID};
use super::{ACCESS_TOKEN, by_status, errors};

/// One call of a service, as its document describes it.
///
/// What follows from what it takes (a token, a body, a query) is described without being asked for: who is refused, and how.
pub struct Call {
    method: HttpMethod,
    path: &'static str,
    operation: OperationBuilder,
    codes: Vec<Code>,
}

/// What a call answers when it succeeds.
pub struct Answer {
    status: &'static str,
    response: ResponseBuilder,
}

impl Call {
    /// The call `method path`. `id` is its name in generated clients.
    #[must_use]
    pub fn new(method: HttpMethod, path: &'static str, id: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        Self { method, path, operation, codes: codes::EVERYWHERE.to_vec() }
    }

    /// Shown under the tag `name`.
    #[must_use]
    pub fn tag(self, name: &str) -> Self {
        self.with(|operation| operation.tag(name))
    }

    /// What there is to know beside the summary, in Markdown.
    #[must_use]
    pub fn note(self, text: &str) -> Self {
        self.with(|operation| operation.description(Some(text)))
    }

    /// Members and admins may call.
    #[must_use]
    pub fn member(self) -> Self {
        self.with(|operation| operation.security(SecurityRequirement::new(ACCESS_TOKEN, [""; 0])))
            .refuses(codes::MEMBER)
    }

    /// Admins may call.
    #[must_use]
    pub fn admin(mut self) -> Self {
        self.codes.extend(codes::ADMIN);
        self.member()
    }

    /// Accepts credentials of one of the security schemes `names`, and does not require them.
    #[must_use]
    pub fn perhaps(self, names: &[&str]) -> Self {
        let schemes = names.iter().map(|name| SecurityRequirement::new(*name, [""; 0]));
        let optional = std::iter::once(SecurityRequirement::default()).chain(schemes);
        self.with(|operation| operation.securities(Some(optional)))
    }

    /// Takes `{name}` in the path; where that is not there, the answer is 404.
    #[must_use]
    pub fn path(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(name, ParameterIn::Path, Required::True, schema).refuses(&[codes::NOT_FOUND])
    }

    /// Takes the parameter `name` in the query.
    #[must_use]
    pub fn query(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(name, ParameterIn::Query, Required::False, schema).refuses(codes::QUERY)
    }

    /// Takes a header.
    #[must_use]
    pub fn header(self, header: HeaderText) -> Self {
        self.with(|operation| operation.parameter(header.asked()))
    }

    /// Takes a body of this schema; the examples, by name, work when pasted.
    #[must_use]
    pub fn body<const N: usize>(self, schema: impl Into<RefOr<Schema>>, examples: [(&str, Value); N]) -> Self {
        self.any_body(Required::True, schema, examples)
    }

    /// The same for a body that may be absent.
    #[must_use]
    pub fn optional_body<const N: usize>(self, schema: impl Into<RefOr<Schema>>, examples: [(&str, Value); N]) -> Self {
        self.any_body(Required::False, schema, examples)
    }

    /// Adds a success.
    #[must_use]
    pub fn answers(self, answer: Answer) -> Self {
        self.with(|operation| operation.response(answer.status, answer.response.build()))
    }

    /// Adds failures.
    #[must_use]
    pub fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// The operation; the answers that it shares with others go among the components.
    pub(super) fn finish(self, components: &mut Components) -> (&'static str, HttpMethod, Operation) {
        let mut operation = self.operation;
        for (status, codes) in by_status(&self.codes) {
            let (name, answer) = errors::answer(&codes);
            operation = operation.response(status.to_string(), Ref::from_response_name(&name));
            components.responses.insert(name, answer.into());
        }
        (self.path, self.method, operation.build())
    }

    fn with(mut self, change: impl FnOnce(OperationBuilder) -> OperationBuilder) -> Self {
        self.operation = change(self.operation);
        self
    }

    fn parameter(self, name: &str, place: ParameterIn, required: Required, schema: impl Into<RefOr<Schema>>) -> Self {
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required).schema(Some(schema));
        self.with(|operation| operation.parameter(parameter))
    }

    fn any_body<const N: usize>(
        self,
        required: Required,
        schema: impl Into<RefOr<Schema>>,
        examples: [(&str, Value); N],
    ) -> Self {
        let examples = examples.map(|(name, value)| (name, ExampleBuilder::new().value(Some(value)).build()));
        let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
        let mut body = RequestBodyBuilder::new().required(Some(required)).content("application/json", content.clone());
        if self.method == HttpMethod::Patch {
            body = body.content("application/merge-patch+json", content);
        }
        self.with(|operation| operation.request_body(Some(body.build()))).refuses(codes::BODY)
    }
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: &'static str, description: &str) -> Self {
        let (name, header) = REQUEST_ID.answered();
        Self { status, response: ResponseBuilder::new().description(description).header(name, header) }
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, schema: impl Into<RefOr<Schema>>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        Self { response: self.response.content("application/json", content), ..self }
    }

    /// With a header.
    #[must_use]
    pub fn header(self, name: &'static str, text: &'static str) -> Self {
        let (name, header) = HeaderText(name, text).answered();
        Self { response: self.response.header(name, header), ..self }
    }
}
