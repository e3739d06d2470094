//! Introspection (RFC 7662), for services that do not verify tokens by themselves.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web::Data};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use shared_claims::ErrorCode::{NotFound, Unavailable};
use shared_claims::{AccessClaims, Problem, Secret, SetupError, Verifier};
use shared_service::clock::now_ms;
use shared_service::http::request::Form;
use shared_service::log_secret;
use utoipa::ToSchema;

use super::State;
use super::oauth::{OAuthError, TokenForm, invalid};
use crate::config::Config;

/// The state of a token (RFC 7662 section 2.2). An inactive token has `active` alone.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct Introspection {
    /// True if the token is valid for the service that asks.
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// The service that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// `Bearer`
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// In seconds since 1970, as `exp` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
}

/// The secret of the services, and a verifier for each of them.
pub struct Introspector {
    /// `INTROSPECTION_SECRET`.
    secret: Secret,
    /// `TOKEN_ISSUER`.
    issuer: String,
    /// One for each name in `ACCESS_TOKEN_AUDIENCE`.
    verifiers: Vec<(String, Verifier<AccessClaims>)>,
}

/// A service that authenticated with the secret by HTTP Basic: its index in [`Introspector::verifiers`].
pub(super) struct Service(usize);

/// Introspect a token
///
/// As RFC 7662 has it, for services that do not verify by themselves. It knows of ended sessions, revoked tokens and disabled
/// accounts at once. A token that is not for the service that asks is not active, and neither is a refresh token. 404 unless
/// `INTROSPECTION_SECRET` is set.
#[utoipa::path(post, path = "/introspect", operation_id = "introspectToken", tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    security(("introspectionSecret" = [])),
    responses((status = 200, description = "Whether it is active, and if so what it says.", body = Introspection),
        (status = 400, description = "`invalid_request`: `token` is missing or given twice.", body = OAuthError),
        (status = 401, description = "`invalid_client`: the service is not in `ACCESS_TOKEN_AUDIENCE`, or the secret is wrong.",
            body = OAuthError, headers(("WWW-Authenticate" = String, description = "The `Basic` challenge (RFC 7617).")))),
    extensions(("x-errors" = json!([NotFound, Unavailable]))))]
pub(super) async fn introspect(
    service: Service,
    state: Data<State>,
    form: Form<TokenForm>,
) -> Result<HttpResponse, Problem> {
    let TokenForm { token } = form.read().map_err(|violations| invalid(&violations))?;
    let introspector = state.introspector.as_ref().ok_or_else(|| Problem::new(NotFound))?;
    Ok(HttpResponse::Ok().json(introspector.introspect(&state, &service, &token).await?.unwrap_or_default()))
}

impl Introspector {
    /// The introspector that `config` sets up; `None` without a secret.
    pub fn of(config: &Config) -> Result<Option<Self>, SetupError> {
        let Some(secret) = config.introspection_secret.clone() else { return Ok(None) };
        log_secret("INTROSPECTION_SECRET", Some(&secret));
        let verifier = |name: &String| Ok((name.clone(), config.access.verifier(name)?));
        let verifiers = config.access_audience.iter().map(verifier).collect::<Result<_, SetupError>>()?;
        Ok(Some(Self { secret, issuer: config.access.issuer.clone(), verifiers }))
    }

    /// The claims of `token` for `service`; `None` if it is not active.
    async fn introspect(
        &self,
        state: &State,
        Service(place): &Service,
        token: &str,
    ) -> Result<Option<Introspection>, Problem> {
        let (name, verifier) = &self.verifiers[*place];
        let now = u64::try_from(now_ms() / 1000).unwrap_or(0);
        let Ok(claims) = verifier.verify(token, now) else { return Ok(None) };
        state.revocations.read_on().await?;
        let known = state.revocations.known();
        if known.is_revoked(&claims.sid, &claims.sub, claims.iat) {
            return Ok(None);
        }
        let user = state.users.find(&claims.sub).await?.filter(|user| !user.disabled);
        Ok(user.map(|_| Introspection {
            active: true,
            iss: Some(self.issuer.clone()),
            aud: Some(name.clone()),
            token_type: Some("Bearer"),
            sub: Some(claims.sub),
            username: Some(claims.username),
            role: Some(claims.role),
            sid: Some(claims.sid),
            jti: Some(claims.jti),
            iat: Some(claims.iat),
            exp: Some(claims.exp),
        }))
    }

    /// Authenticates a service by the name and the secret in its HTTP Basic credentials.
    fn service(&self, request: &HttpRequest) -> Option<Service> {
        let mut lines = request.headers().get_all(AUTHORIZATION);
        let line = lines.next().filter(|_| lines.next().is_none())?.to_str().ok()?;
        let (scheme, credentials) = line.split_once(' ')?;
        let credentials = scheme.eq_ignore_ascii_case("Basic").then(|| STANDARD.decode(credentials.trim()))?.ok()?;
        let (name, secret) = str::from_utf8(&credentials).ok()?.split_once(':')?;
        // RFC 6749 section 2.3.1 requires both form-encoded; many clients send them unencoded.
        let secrets = [secret.to_owned(), decoded(secret)];
        let is_right = |secret: &String| Secret::parse(secret).is_ok_and(|secret| secret.same_as(&self.secret));
        let place = self.verifiers.iter().position(|(known, _)| *known == name || *known == decoded(name))?;
        secrets.iter().any(is_right).then_some(Service(place))
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

impl FromRequest for Service {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<Data<State>>();
        let Some(introspector) = state.and_then(|state| state.introspector.as_ref()) else {
            return ready(Err(Problem::new(NotFound)));
        };
        ready(introspector.service(request).ok_or_else(|| {
            log::warn!(target: "audit", event = "introspection.refused"; "the name or the secret of a service is wrong");
            let why = "the service is not known, or its secret is wrong";
            Problem::oauth(401, "invalid_client", why).header("WWW-Authenticate", r#"Basic realm="introspection""#)
        }))
    }
}
