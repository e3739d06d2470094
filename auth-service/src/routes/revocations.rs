use std::convert::Infallible;

use actix_web::body::SizedStream;
use actix_web::http::header::{AGE, CACHE_CONTROL, ETAG, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use futures_util::stream;
use shared_claims::ErrorCode::Unavailable;
use shared_claims::{Problem, RevocationList};
use shared_service::has_tag;
use shared_service::http::request::Query;

use super::State;
use super::requests::ListRevocations;

/// A service with an outdated list from a cache would accept revoked tokens.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// List the access tokens that were revoked
///
/// The tokens that a service must refuse before their `exp`: all of them, or those that are new after a cursor. A service
/// with the setting `AUTH_URL` polls this list by itself.
#[utoipa::path(get, path = "/revocations", operation_id = "listRevocations", params(ListRevocations), responses(
    (status = 200, description = "The list.", body = RevocationList, headers(("Age" = i64, description =
        "Seconds since the list was complete, where an entry of it cannot be read."))),
    (status = 304, description = "Nothing was revoked since.", headers(("Age" = i64, description =
        "As with 200.")))), extensions(("x-errors" = json!([Unavailable]))))]
pub(super) async fn read(
    state: Data<State>,
    request: HttpRequest,
    query: Query<ListRevocations>,
) -> Result<HttpResponse, Problem> {
    let after = query.read()?.after.and_then(|after| after.parse().ok());
    let reader = &state.revocations;
    reader.read_on().await?;
    let tag = reader.newest().to_string();
    let known = has_tag(&request, &tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // A weak tag: entries expire, and the list keeps its tag.
    response.insert_header((CACHE_CONTROL, NO_STORE)).insert_header((ETAG, format!("W/\"{tag}\"")));
    if let Some(age) = reader.incomplete_for() {
        // So that pollers do not take the list for complete.
        response.insert_header((AGE, age.as_secs() + 1));
    }
    if known {
        return Ok(response.finish());
    }
    let pieces = reader.since(after.as_ref());
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let body =
        SizedStream::new(length, stream::iter(pieces.into_iter().map(|piece| Ok::<_, Infallible>(piece.bytes()))));
    Ok(response.content_type("application/json").body(body))
}
