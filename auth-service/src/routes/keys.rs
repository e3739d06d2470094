use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use shared_claims::PublicKeys;
use shared_service::begin_read;

use super::State;

/// Other verifiers cache the set for this long; ours request it every second and accept no cached response.
pub(super) const FIVE_MINUTES: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Read the public keys of access tokens
///
/// A JSON Web Key Set (RFC 7517): the key that signs comes first. It is empty where a secret signs access tokens.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "readKeys", tag = "oauth", responses(
    (status = 200, description = "The keys.", body = Object, content_type = "application/jwk-set+json", example = json!({
        "keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y":
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "use": "sig", "alg": "ES256", "kid":
            "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"}]})),
    (status = 304, description = "The keys are those that the client has.")))]
pub(super) async fn read(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let body = state.keys.as_ref().map_or_else(|| r#"{"keys":[]}"#.to_owned(), PublicKeys::jwks);
    let tag = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..12]);
    let (mut response, is_known) = begin_read(&request, &tag);
    response.insert_header((CACHE_CONTROL, FIVE_MINUTES));
    if is_known { response.finish() } else { response.content_type("application/jwk-set+json").body(body) }
}
