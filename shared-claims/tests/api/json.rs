use shared_claims::TokenError::{MalformedClaims, MalformedHeader};

use crate::forge::{access, check, header, texts, token};

/// Expects a refusal of `text` as the header and as the claims of a correctly signed token.
fn refused_in_both(text: impl AsRef<[u8]>, why: &str) {
    check([
        (texts(&text, access().text()), Err(MalformedHeader), format!("header: {why}")),
        (texts(header().text(), &text), Err(MalformedClaims), format!("claims: {why}")),
    ]);
}

/// The valid header and the valid claims, each with `member` in front of the other members.
pub fn with_member(member: impl AsRef<[u8]>) -> [String; 2] {
    let with = |text: String| [b"{", member.as_ref(), b",", &text.as_bytes()[1..]].concat();
    [texts(with(header().text()), access().text()), texts(header().text(), with(access().text()))]
}

pub fn member_refused_in_both(member: impl AsRef<[u8]>, why: &str) {
    let [head, claims] = with_member(member);
    check([
        (head, Err(MalformedHeader), format!("header: {why}")),
        (claims, Err(MalformedClaims), format!("claims: {why}")),
    ]);
}

pub fn member_ignored_in_both(member: impl AsRef<[u8]>, why: &str) {
    check(with_member(member).map(|token| (token, Ok(()), why)));
}

#[test]
fn header_and_claims_are_json_objects() {
    for (text, why) in [
        ("", "nothing"),
        (" ", "a space"),
        ("null", "null"),
        ("true", "a flag"),
        ("1", "a number"),
        (r#""{}""#, "a string"),
        ("[]", "an array"),
        (r#"[{"alg":"HS256","typ":"at+jwt"}]"#, "an object in an array"),
        ("{", "not closed"),
        ("}", "not opened"),
        ("{}}", "closed twice"),
        ("{a:1}", "a name without quotes"),
        ("{'a':1}", "single quotes"),
        (r"{1:1}", "a number for a name"),
        (r#"{"a"}"#, "no value"),
        (r#"{"a":}"#, "an empty value"),
        (r#"{"a":1,}"#, "a comma too many"),
        (r#"{,"a":1}"#, "a comma first"),
        (r#"{"a":1 "b":2}"#, "a comma too few"),
        (r#"{"a":1;"b":2}"#, "a semicolon"),
        (r#"{"a":undefined}"#, "what JavaScript calls undefined"),
    ] {
        refused_in_both(text, why);
    }
}

#[test]
fn nothing_stands_before_or_behind_the_object() {
    for (before, behind, why) in [
        ("\u{feff}", "", "a byte order mark"),
        ("", "{}", "another object"),
        ("", "x", "a letter"),
        ("", ",", "a comma"),
        ("", "\0", "NUL"),
        ("\0", "", "NUL first"),
        ("\u{c}", "", "a form feed"),
        ("\u{a0}", "", "a space that is not JSON's"),
        ("", "// more", "a comment"),
        ("/* */", "", "a comment first"),
        (")]}',\n", "", "what keeps scripts from reading JSON"),
        ("", "\u{1a}", "the end of a file, once"),
    ] {
        let around = |text: String| format!("{before}{text}{behind}");
        check([
            (texts(around(header().text()), access().text()), Err(MalformedHeader), format!("header: {why}")),
            (texts(header().text(), around(access().text())), Err(MalformedClaims), format!("claims: {why}")),
        ]);
    }
    let spaced = |text: String| format!(" \t\r\n{} \t\r\n", text.replace(',', " ,\n").replace("\":", "\"\t:\r\n"));
    check([(texts(spaced(header().text()), spaced(access().text())), Ok(()), "white space is JSON's")]);
}

#[test]
fn a_text_is_utf8_and_no_other_unicode() {
    let utf16 = |of: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(of).collect::<Vec<u8>>();
    let utf32 = |of: fn(u32) -> [u8; 4], text: &str| text.chars().map(u32::from).flat_map(of).collect::<Vec<u8>>();
    let encoded = |text: &str| {
        let marked = format!("\u{feff}{text}");
        [
            (utf16(u16::to_le_bytes, text), "UTF-16, the lower byte first"),
            (utf16(u16::to_be_bytes, text), "UTF-16, the upper byte first"),
            (utf16(u16::to_le_bytes, &marked), "UTF-16 with its mark, the lower byte first"),
            (utf16(u16::to_be_bytes, &marked), "UTF-16 with its mark, the upper byte first"),
            (utf32(u32::to_le_bytes, text), "UTF-32, the lower byte first"),
            (utf32(u32::to_be_bytes, text), "UTF-32, the upper byte first"),
            (text.replace('{', "+AHs-").replace('}', "+AH0-").into_bytes(), "UTF-7"),
        ]
    };
    for (head, why) in encoded(&header().text()) {
        check([(texts(head, access().text()), Err(MalformedHeader), format!("header: {why}"))]);
    }
    for (claims, why) in encoded(&access().text()) {
        check([(texts(header().text(), claims), Err(MalformedClaims), format!("claims: {why}"))]);
    }
}

#[test]
fn no_name_occurs_twice() {
    let escaped = [("alg", "\\u0061lg"), ("typ", "t\\u0079p"), ("x", "\\u0078")];
    for (name, again) in escaped {
        let honest = header().with("x", 1);
        check([
            (token(&honest.clone().and(name, r#""HS256""#), &access()), Err(MalformedHeader), name),
            (token(&honest.and(again, r#""HS256""#), &access()), Err(MalformedHeader), again),
        ]);
    }
    for name in access().names() {
        let value = access().text();
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        for again in [&name, &escaped] {
            let claims = access().and(again, &value);
            check([(token(&header(), &claims), Err(MalformedClaims), format!("{name} and {again}"))]);
        }
    }
    for (member, why) in [
        (r#""a":1,"a":1"#, "the same twice"),
        (r#""a":{"b":1,"b":1}"#, "one level down"),
        (r#""a":{"b":1,"\u0062":2}"#, "one level down, escaped"),
        (r#""a":[{"b":[{"c":1,"c":2}]}]"#, "far down"),
        (r#""":1,"":2"#, "the empty name"),
        (r#""é":1,"\u00e9":2"#, "not ASCII"),
        (r#""😀":1,"\ud83d\ude00":2"#, "a surrogate pair"),
        (r#""a/b":1,"a\/b":2"#, "a slash, escaped"),
    ] {
        member_refused_in_both(member, why);
    }
    for (member, why) in [
        (r#""a":{"b":1},"c":{"b":1}"#, "each in an object of its own"),
        (r#""A":1,"a":2"#, "upper case is another name"),
        ("\"caf\u{e9}\":1,\"cafe\u{301}\":2", "names are compared as they stand"),
        (r#""a\\u0062":1,"ab":2"#, "an escaped backslash is no escape"),
    ] {
        member_ignored_in_both(member, why);
    }
}
