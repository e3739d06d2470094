use actix_web::HttpRequest;
use actix_web::http::header::{EntityTag, Header, IF_MATCH, IfMatch};

use crate::books::Expected;

/// What `If-Match` says of a book to change (RFC 9110 section 13.1.1). Tags compare strongly, and one that is not ours
/// matches nothing, so that a condition which cannot be understood fails.
pub fn expected(request: &HttpRequest) -> Expected {
    if !request.headers().contains_key(IF_MATCH) {
        return Expected::Any;
    }
    match IfMatch::parse(request) {
        Ok(IfMatch::Any) => Expected::Any,
        Ok(IfMatch::Items(tags)) => Expected::OneOf(tags.iter().filter_map(version).collect()),
        Err(_) => Expected::OneOf(Vec::new()),
    }
}

/// The version that `tag` is the tag of: a book's is its version.
fn version(tag: &EntityTag) -> Option<i64> {
    let version = tag.tag().parse::<i64>().ok()?;
    (!tag.weak && tag.tag() == version.to_string()).then_some(version)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn if_match_names_versions() {
        for (lines, expected, why) in [
            (&[][..], Expected::Any, "absent"),
            (&["*"], Expected::Any, "any"),
            (&["\"7\""], Expected::OneOf(vec![7]), "one"),
            (&["\"7\", \"8\"", "\"9\""], Expected::OneOf(vec![7, 8, 9]), "a list in two lines"),
            (&["W/\"7\", \"8\""], Expected::OneOf(vec![8]), "a weak tag never matches"),
            (&["\"07\", \"+7\", \" 7\", \"\""], Expected::OneOf(vec![]), "other spellings of a number are other tags"),
            (&["\"x\", 7, \"7"], Expected::OneOf(vec![]), "not ours, or no tags"),
            (&[""], Expected::OneOf(vec![]), "empty"),
        ] {
            let mut request = TestRequest::default();
            for line in lines {
                request = request.append_header((IF_MATCH, *line));
            }
            assert_eq!(super::expected(&request.to_http_request()), expected, "{why}");
        }
    }
}
