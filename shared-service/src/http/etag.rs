use actix_web::http::header::{ETAG, Header, IF_NONE_MATCH, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

/// Begins the response to a read of the representation with the strong entity tag `tag`, given without quotes: 200, or
/// 304 and true if the client has that representation.
#[must_use]
pub fn begin_read(request: &HttpRequest, tag: &str) -> (HttpResponseBuilder, bool) {
    let is_known = has_tag(request, tag);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, quoted(tag)));
    (response, is_known)
}

/// The strong entity tag `tag` in the syntax of header fields (RFC 9110 section 8.8.3).
#[must_use]
pub fn quoted(tag: &str) -> String {
    ["\"", tag, "\""].concat()
}

/// True if `If-None-Match` contains `tag`, given without quotes (RFC 9110 section 13.1.2). Uses weak comparison.
#[must_use]
pub fn has_tag(request: &HttpRequest, tag: &str) -> bool {
    request.headers().contains_key(IF_NONE_MATCH)
        && match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.tag() == tag),
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
