use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use shared_claims::{ErrorCode, Problem};
use utoipa::ToSchema;

use super::State;
use super::keys::FIVE_MINUTES;
use crate::mail::PublicUrl;

/// The metadata of an authorization server (RFC 8414 section 2).
#[derive(Clone, Serialize, ToSchema)]
pub struct Metadata {
    /// The `iss` of tokens: `TOKEN_ISSUER`.
    #[schema(format = "uri")]
    issuer: String,
    #[schema(format = "uri")]
    token_endpoint: String,
    #[schema(format = "uri")]
    jwks_uri: String,
    #[schema(format = "uri")]
    revocation_endpoint: String,
    /// Present if `INTROSPECTION_SECRET` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<String>,
    grant_types_supported: [&'static str; 1],
    /// None: sessions are opened by `POST /login`.
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_methods_supported: Option<[&'static str; 1]>,
}

impl Metadata {
    /// The metadata of the service at the address `issuer`; `None` if `issuer` is not a URL.
    pub fn of(issuer: &str, introspects: bool) -> Option<Self> {
        issuer.parse::<PublicUrl>().ok()?;
        let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
        Some(Self {
            issuer: issuer.to_owned(),
            token_endpoint: at("/token"),
            jwks_uri: at("/.well-known/jwks.json"),
            revocation_endpoint: at("/revoke"),
            introspection_endpoint: introspects.then(|| at("/introspect")),
            grant_types_supported: ["refresh_token"],
            response_types_supported: [],
            token_endpoint_auth_methods_supported: ["none"],
            revocation_endpoint_auth_methods_supported: ["none"],
            introspection_endpoint_auth_methods_supported: introspects.then_some(["client_secret_basic"]),
        })
    }
}

/// Read the metadata of this authorization server
///
/// As RFC 8414 has it: where the keys and the calls of OAuth 2.0 are. It is discovery and not `OpenID` Connect: there is no ID
/// token and no authorization endpoint. 404 unless `TOKEN_ISSUER` is an http or https URL, which is that of this service.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "readMetadata", tag = "oauth",
    responses((status = 200, description = "The metadata.", body = Metadata,
        headers(("Cache-Control" = String, description = "`public, max-age=300`")))),
    extensions(("x-errors" = json!([ErrorCode::NotFound]))))]
pub(super) async fn read(state: Data<State>) -> Result<HttpResponse, Problem> {
    let metadata = state.metadata.as_ref().ok_or_else(|| Problem::new(ErrorCode::NotFound))?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, FIVE_MINUTES)).json(metadata))
}
