use actix_web::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
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
    let tag = quoted(tag);
    let is_equal = |given: &[u8]| given.strip_prefix(b"W/").unwrap_or(given) == tag.as_bytes();
    lists(request, &IF_NONE_MATCH, is_equal).unwrap_or(false)
}

/// True if `request` may change a resource with the entity tag `tag`, given without quotes. `If-Match` lists tags, with
/// strong comparison; `If-None-Match` excludes some, with weak comparison (RFC 9110 sections 13.1.1 and 13.1.2). Both
/// must hold (section 13.2.2).
#[must_use]
pub fn may_change(request: &HttpRequest, tag: &str) -> bool {
    let is_equal = |given: &[u8]| given == quoted(tag).as_bytes();
    lists(request, &IF_MATCH, is_equal).unwrap_or(true) && !has_tag(request, tag)
}

/// True if the header `name` is `*`, or if `is_equal` for one of its tags; `None` without the header. Compares bytes, so
/// that a tag that is not ASCII does not hide the others, as it does in actix-web's parser.
fn lists(request: &HttpRequest, name: &HeaderName, is_equal: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let mut lines = request.headers().get_all(name).map(|line| line.as_bytes().trim_ascii()).peekable();
    lines.peek()?;
    Some(lines.any(|line| line == b"*" || line.split(|byte| *byte == b',').any(|tag| is_equal(tag.trim_ascii()))))
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

    const TAGS: [&str; 4] = ["6", "7", "8", "9"];

    /// The accepted tags among [`TAGS`].
    fn accepted(name: &HeaderName, lines: &[&'static str]) -> Vec<&'static str> {
        let request = TestRequest::default();
        let request = lines.iter().fold(request, |request, line| request.append_header((name.clone(), *line)));
        let request = request.to_http_request();
        TAGS.into_iter().filter(|tag| may_change(&request, tag)).collect()
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
