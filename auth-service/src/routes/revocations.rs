use std::convert::Infallible;

use actix_web::body::SizedStream;
use actix_web::http::header::{AGE, CACHE_CONTROL, ETAG, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use futures_util::stream;
use shared_claims::Problem;
use shared_service::{Query, has_tag};

use super::State;

/// A cache that tells an old list lets revoked tokens in.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `GET /revocations`: what was revoked behind the cursor `after`; all of it without one, or with one that was lost.
pub(super) async fn read(
    state: Data<State>,
    request: HttpRequest,
    Query(mut params): Query,
) -> Result<HttpResponse, Problem> {
    let after = params.optional_text("after", |_| Ok(())).and_then(|after| after.parse().ok());
    params.finish()?;
    let feed = &state.revocations;
    feed.read_on().await?;
    let tag = feed.newest().to_string();
    let known = has_tag(&request, &tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Weak: of the same list more and more is over.
    response.insert_header((CACHE_CONTROL, NO_STORE)).insert_header((ETAG, format!("W/\"{tag}\"")));
    if let Some(age) = feed.incomplete_for() {
        // So that those who follow do not count it as complete either.
        response.insert_header((AGE, age.as_secs() + 1));
    }
    if known {
        return Ok(response.finish());
    }
    let pieces = feed.since(after.as_ref());
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let body = SizedStream::new(length, stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    Ok(response.content_type("application/json").body(body))
}
