use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use shared_service::quoted;

/// True if `request` may change a book with the entity tag `tag`, given without quotes. `If-Match` lists tags, with
/// strong comparison; `If-None-Match` excludes some, with weak comparison (RFC 9110 sections 13.1.1 and 13.1.2). Both
/// must hold (section 13.2.2). An unknown tag matches nothing.
pub fn accepts(request: &HttpRequest, tag: &str) -> bool {
    let tag = quoted(tag);
    names(request, &IF_MATCH, |given| given == tag.as_bytes()).unwrap_or(true)
        && !names(request, &IF_NONE_MATCH, |given| given.strip_prefix(b"W/").unwrap_or(given) == tag.as_bytes())
            .unwrap_or(false)
}

/// True if the header `name` is `*`, or if `is_equal` for one of its tags; `None` without the header. Compares bytes, so
/// that a tag that is not ASCII does not hide the others.
fn names(request: &HttpRequest, name: &HeaderName, is_equal: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let mut lines = request.headers().get_all(name).map(|line| line.as_bytes().trim_ascii()).peekable();
    lines.peek()?;
    Some(lines.any(|line| line == b"*" || line.split(|byte| *byte == b',').any(|tag| is_equal(tag.trim_ascii()))))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const TAGS: [&str; 4] = ["6", "7", "8", "9"];

    /// The accepted tags among [`TAGS`].
    fn accepted(name: &HeaderName, lines: &[&'static str]) -> Vec<&'static str> {
        let request = TestRequest::default();
        let request = lines.iter().fold(request, |request, line| request.append_header((name.clone(), *line)));
        let request = request.to_http_request();
        TAGS.into_iter().filter(|tag| accepts(&request, tag)).collect()
    }

    #[test]
    fn if_match_names_tags() {
        for (lines, tags, why) in [
            (&[][..], &TAGS[..], "absent"),
            (&["*"], &TAGS, "any"),
            (&["\"7\""], &["7"], "one"),
            (&["\"7\", \"8\"", "\"9\""], &["7", "8", "9"], "a list in two lines"),
            (&["W/\"7\", \"8\""], &["8"], "a weak tag never matches"),
            (&["\"07\", \"+7\", \" 7\", \"\""], &[], "other spellings of a number are other tags"),
            (&["\"x\", 7, \"7"], &[], "not ours, or no tags"),
            (&["\"\u{e9}\", \"7\""], &["7"], "a tag that is not ASCII before it"),
            (&[""], &[], "empty"),
        ] {
            assert_eq!(accepted(&IF_MATCH, lines), tags, "{why}");
        }
    }

    #[test]
    fn if_none_match_excludes_tags() {
        for (lines, tags, why) in [
            (&[][..], &TAGS[..], "absent"),
            (&[" * "], &[], "any"),
            (&["\"6\"", "*"], &[], "any, in the second line"),
            (&["\"7\", W/\"8\"", "\"x\""], &["6", "9"], "a list in two lines, one tag weak"),
            (&["\"07\", 7, \"\""], &TAGS, "not ours, or no tags"),
            (&["\"\u{e9}\", \"7\""], &["6", "8", "9"], "a tag that is not ASCII before it"),
        ] {
            assert_eq!(accepted(&IF_NONE_MATCH, lines), tags, "{why}");
        }
    }
}
