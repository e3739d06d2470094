use actix_web::HttpRequest;
use actix_web::http::header::{EntityTag, HeaderName, IF_MATCH, IF_NONE_MATCH, from_comma_delimited};

use crate::books::{Expected, Versions};

/// The versions that a change accepts. `If-Match` lists them, with strong comparison; `If-None-Match` excludes some,
/// with weak comparison (RFC 9110 sections 13.1.1 and 13.1.2). Both must hold (section 13.2.2). An unknown tag matches
/// nothing.
pub fn expected(request: &HttpRequest) -> Expected {
    Expected {
        matching: versions(request, &IF_MATCH, |tag| !tag.weak).unwrap_or(Versions::All),
        excluded: versions(request, &IF_NONE_MATCH, |_| true).unwrap_or_default(),
    }
}

/// The versions of the tags in the header `name` that `counts` accepts; `None` without the header.
fn versions(request: &HttpRequest, name: &HeaderName, counts: fn(&EntityTag) -> bool) -> Option<Versions> {
    let lines = || request.headers().get_all(name);
    lines().next()?;
    if lines().any(|line| line.as_bytes().trim_ascii() == b"*") {
        return Some(Versions::All);
    }
    let tags = from_comma_delimited::<_, EntityTag>(lines()).unwrap_or_default();
    Some(Versions::Only(tags.iter().filter(|tag| counts(tag)).filter_map(version).collect()))
}

/// The version in `tag`; the entity tag of a book is its version.
fn version(tag: &EntityTag) -> Option<i64> {
    let version = tag.tag().parse::<i64>().ok()?;
    (tag.tag() == version.to_string()).then_some(version)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn expected_of(name: &HeaderName, lines: &[&'static str]) -> Expected {
        let request = TestRequest::default();
        let request = lines.iter().fold(request, |request, line| request.append_header((name.clone(), *line)));
        expected(&request.to_http_request())
    }

    #[test]
    fn if_match_names_versions() {
        let only = |versions: &[i64]| Versions::Only(versions.to_vec());
        for (lines, matching, why) in [
            (&[][..], Versions::All, "absent"),
            (&["*"], Versions::All, "any"),
            (&["\"7\""], only(&[7]), "one"),
            (&["\"7\", \"8\"", "\"9\""], only(&[7, 8, 9]), "a list in two lines"),
            (&["W/\"7\", \"8\""], only(&[8]), "a weak tag never matches"),
            (&["\"07\", \"+7\", \" 7\", \"\""], only(&[]), "other spellings of a number are other tags"),
            (&["\"x\", 7, \"7"], only(&[]), "not ours, or no tags"),
            (&[""], only(&[]), "empty"),
        ] {
            assert_eq!(expected_of(&IF_MATCH, lines), Expected { matching, ..Expected::default() }, "{why}");
        }
    }

    #[test]
    fn if_none_match_excludes_versions() {
        let only = |versions: &[i64]| Versions::Only(versions.to_vec());
        for (lines, excluded, why) in [
            (&[][..], only(&[]), "absent"),
            (&[" * "], Versions::All, "any"),
            (&["\"6\"", "*"], Versions::All, "any, in the second line"),
            (&["\"7\", W/\"8\"", "\"x\""], only(&[7, 8]), "a list in two lines, one tag weak"),
            (&["\"07\", 7, \"\""], only(&[]), "not ours, or no tags"),
        ] {
            assert_eq!(expected_of(&IF_NONE_MATCH, lines), Expected { excluded, ..Expected::default() }, "{why}");
        }
    }
}
