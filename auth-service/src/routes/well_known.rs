use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared_claims::{ErrorCode, Problem, PublicKeys};
use shared_service::begin_read;
use utoipa::ToSchema;

use super::State;
use crate::mail::PublicUrl;

/// Other verifiers cache the set for this long; ours request it every second and accept no cached response.
const FIVE_MINUTES: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Read the public keys of access tokens
///
/// A JSON Web Key Set (RFC 7517): the key that signs comes first. It is empty where a secret signs access tokens.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "readKeys", tag = "oauth", responses(
    (status = 200, description = "The keys.", body = Object, content_type = "application/jwk-set+json", example = json!({
        "keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y":
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "use": "sig", "alg": "ES256", "kid":
            "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"}]})),
    (status = 304, description = "The keys are those that the client has.")))]
pub(super) async fn read_keys(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let body = state.keys.as_ref().map_or_else(|| r#"{"keys":[]}"#.to_owned(), PublicKeys::jwks);
    let tag = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..12]);
    let (mut response, is_known) = begin_read(&request, &tag);
    response.insert_header((CACHE_CONTROL, FIVE_MINUTES));
    if is_known { response.finish() } else { response.content_type("application/jwk-set+json").body(body) }
}

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
pub(super) async fn read_metadata(state: Data<State>) -> Result<HttpResponse, Problem> {
    let metadata = state.metadata.as_ref().ok_or_else(|| Problem::new(ErrorCode::NotFound))?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, FIVE_MINUTES)).json(metadata))
}
