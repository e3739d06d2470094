use actix_web::HttpRequest;
use actix_web::http::header::{Header, IF_NONE_MATCH, IfNoneMatch};

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
