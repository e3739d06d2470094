use actix_web::http::header::{ETAG, Header, HeaderValue, IF_NONE_MATCH, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

/// Begins the response to a read of the representation with the `ETag` `tag`, as [`quoted`] returns it: 200, or 304 and
/// true if the client has that representation.
#[must_use]
pub fn begin_read(request: &HttpRequest, tag: HeaderValue) -> (HttpResponseBuilder, bool) {
    let is_known = has_tag(request, tag.to_str().unwrap_or_default());
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, tag));
    (response, is_known)
}

/// The value of `ETag` for the strong entity tag `tag` (RFC 9110 section 8.8.3), which is visible ASCII without quotes.
#[must_use]
pub fn quoted(tag: &str) -> HeaderValue {
    HeaderValue::try_from(["\"", tag, "\""].concat()).unwrap_or(HeaderValue::from_static("\"\""))
}

/// True if `If-None-Match` contains `tag`, with or without quotes (RFC 9110 section 13.1.2). Uses weak comparison.
#[must_use]
pub fn has_tag(request: &HttpRequest, tag: &str) -> bool {
    request.headers().contains_key(IF_NONE_MATCH)
        && match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.tag() == tag.trim_matches('"')),
            Err(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn if_none_match_compares_weakly() {
        for (line, has, why) in [
            (None, false, "absent"),
            (Some("*"), true, "any"),
            (Some("\"7\""), true, "the same"),
            (Some("W/\"7\""), true, "the same, weakened on the way"),
            (Some("\"6\", \"7\""), true, "in a list"),
            (Some("\"6\""), false, "another"),
            (Some("7"), false, "no tag"),
        ] {
            let mut request = TestRequest::default();
            if let Some(line) = line {
                request = request.append_header((IF_NONE_MATCH, line));
            }
            assert_eq!(has_tag(&request.to_http_request(), "7"), has, "{why}");
        }
    }
}
