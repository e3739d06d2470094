use actix_web::HttpRequest;
use actix_web::http::header::{EntityTag, HeaderName, IF_MATCH, IF_NONE_MATCH, from_comma_delimited};

/// True if `request` may change `version` of a book. `If-Match` lists versions, with strong comparison; `If-None-Match`
/// excludes some, with weak comparison (RFC 9110 sections 13.1.1 and 13.1.2). Both must hold (section 13.2.2). An
/// unknown tag matches nothing.
pub fn accepts(request: &HttpRequest, version: i64) -> bool {
    names(request, &IF_MATCH, version, |tag| !tag.weak).unwrap_or(true)
        && !names(request, &IF_NONE_MATCH, version, |_| true).unwrap_or(false)
}

/// True if one of the tags in the header `name` that `counts` accepts is `version`, the entity tag of a book; `None`
/// without the header.
fn names(request: &HttpRequest, name: &HeaderName, version: i64, counts: fn(&EntityTag) -> bool) -> Option<bool> {
    let lines = || request.headers().get_all(name);
    lines().next()?;
    if lines().any(|line| line.as_bytes().trim_ascii() == b"*") {
        return Some(true);
    }
    let tags = from_comma_delimited::<_, EntityTag>(lines()).unwrap_or_default();
    let version = version.to_string();
    Some(tags.iter().any(|tag| counts(tag) && tag.tag() == version))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const VERSIONS: [i64; 4] = [6, 7, 8, 9];

    /// The accepted versions among [`VERSIONS`].
    fn accepted(name: &HeaderName, lines: &[&'static str]) -> Vec<i64> {
        let request = TestRequest::default();
        let request = lines.iter().fold(request, |request, line| request.append_header((name.clone(), *line)));
        let request = request.to_http_request();
        VERSIONS.into_iter().filter(|version| accepts(&request, *version)).collect()
    }

    #[test]
    fn if_match_names_versions() {
        for (lines, versions, why) in [
            (&[][..], &VERSIONS[..], "absent"),
            (&["*"], &VERSIONS, "any"),
            (&["\"7\""], &[7], "one"),
            (&["\"7\", \"8\"", "\"9\""], &[7, 8, 9], "a list in two lines"),
            (&["W/\"7\", \"8\""], &[8], "a weak tag never matches"),
            (&["\"07\", \"+7\", \" 7\", \"\""], &[], "other spellings of a number are other tags"),
            (&["\"x\", 7, \"7"], &[], "not ours, or no tags"),
            (&[""], &[], "empty"),
        ] {
            assert_eq!(accepted(&IF_MATCH, lines), versions, "{why}");
        }
    }

    #[test]
    fn if_none_match_excludes_versions() {
        for (lines, versions, why) in [
            (&[][..], &VERSIONS[..], "absent"),
            (&[" * "], &[], "any"),
            (&["\"6\"", "*"], &[], "any, in the second line"),
            (&["\"7\", W/\"8\"", "\"x\""], &[6, 9], "a list in two lines, one tag weak"),
            (&["\"07\", 7, \"\""], &VERSIONS, "not ours, or no tags"),
        ] {
            assert_eq!(accepted(&IF_NONE_MATCH, lines), versions, "{why}");
        }
    }
}
