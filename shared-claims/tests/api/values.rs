use shared_claims::TokenError::{MalformedClaims, MalformedHeader, TooLong};

use crate::forge::{access, check, crowd, header, token};
use crate::json::{member_ignored_in_both, member_refused_in_both, with_member};

#[test]
fn unused_text_must_be_utf8_too() {
    for (bytes, why) in [
        (&b"\"x\":\"\xff\""[..], "no UTF-8 at all"),
        (b"\"x\":\"\xc0\xaf\"", "longer than needed"),
        (b"\"x\":\"\xc0\x80\"", "NUL, longer than needed"),
        (b"\"x\":\"\xed\xa0\x80\"", "half a surrogate pair, encoded"),
        (b"\"x\":\"\xed\xa0\xbd\xed\xb8\x80\"", "a surrogate pair, each half encoded"),
        (b"\"x\":\"\xe2\x82\"", "cut off"),
        (b"\"x\":\"\xf4\x90\x80\x80\"", "above U+10FFFF"),
        (b"\"x\":\"\xe9\"", "Latin-1"),
        (b"\"\xff\":1", "in a name"),
        (b"\"x\":{\"y\":[\"\xff\"]}", "deeper"),
        (b"\"x\":\xff", "outside of a string"),
    ] {
        member_refused_in_both(bytes, why);
    }
    for (member, why) in [
        (r#""x":"\ud800""#, "the first half of a pair"),
        (r#""x":"\udc00""#, "the second half of a pair"),
        (r#""x":"\ude00\ud83d""#, "a pair in the wrong order"),
        (r#""x":"\ud83d\ud83d\ude00""#, "a half before a pair"),
        (r#""x":"\ud83d!""#, "half a pair and a letter"),
        (r#""x":"\ud83d\n""#, "half a pair and another escape"),
        (r#""\ud800":1"#, "in a name"),
        (r#""x":[{"y":"\ud800"}]"#, "deeper"),
    ] {
        member_refused_in_both(member, why);
    }
    member_ignored_in_both(r#""x":"\ud83d\ude00😀\u0000\"\\\/\b\f\n\r\t""#, "every escape that there is");
}

#[test]
fn strings_are_json_strings() {
    for (member, why) in [
        ("\"x\":\"\n\"", "a line break as it is"),
        ("\"x\":\"\0\"", "NUL as it is"),
        ("\"x\":\"\u{1f}\"", "a control character as it is"),
        (r#""x":"\x41""#, "an escape of another language"),
        (r#""x":"\u12""#, "half an escape"),
        (r#""x":"\u{41}""#, "Rust's escape"),
        (r#""x":"\U00000041""#, "Python's escape"),
        (r#""x":"\'""#, "a quote that needs none"),
        (r#""x":'y'"#, "single quotes"),
        (r#""x":"y"#, "not closed"),
    ] {
        member_refused_in_both(member, why);
    }
}

#[test]
fn numbers_are_json_numbers() {
    for number in [
        "NaN",
        "-NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "0x10",
        "0b1",
        "0o7",
        "01",
        "-01",
        "00",
        "+1",
        "1.",
        ".5",
        "-",
        "1e",
        "1e+",
        "1_000",
        "1,000",
        "1n",
        "1f",
        "1e999",
        "-1e999",
        "١",
    ] {
        member_refused_in_both(format!(r#""x":{number}"#), number);
    }
    for number in ["0", "-0", "-1", "1.5", "1e3", "1E-400", "18446744073709551616", "-9223372036854775809", "1e308"] {
        member_ignored_in_both(format!(r#""x":{number}"#), number);
    }
}

/// A member `x` whose value is `inner` within `levels` pairs of `open` and `close`.
fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!(r#""x":{}{inner}{}"#, open.repeat(levels), close.repeat(levels))
}

#[test]
fn deep_nesting_is_refused() {
    for levels in [127, 128, 500, 1000] {
        member_refused_in_both(nested("[", "", "]", levels), "arrays");
    }
    for levels in [127, 128, 300] {
        member_refused_in_both(nested(r#"{"a":"#, "1", "}", levels), "objects");
        member_refused_in_both(nested(r#"[{"":"#, "1", "}]", levels / 2 + 1), "both");
    }
    member_refused_in_both(format!(r#""x":{}"#, "[".repeat(2000)), "never closed");
    member_ignored_in_both(nested("[", "", "]", 126), "as deep as can be");
    let deepest = access().with("x", format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    check([(token(&header(), &deepest), Err(TooLong), "10,000 levels")]);
}

#[test]
fn object_with_too_many_members_is_refused() {
    let there = header().names().len();
    check([
        (with_member(crowd(64 - there))[0].clone(), Ok(()), "64 header members"),
        (with_member(crowd(65 - there))[0].clone(), Err(MalformedHeader), "65 header members"),
        (with_member(crowd(64 - access().names().len()))[1].clone(), Ok(()), "64 claims"),
        (with_member(crowd(65 - access().names().len()))[1].clone(), Err(MalformedClaims), "65 claims"),
    ]);
    member_refused_in_both(format!(r#""x":{{{}}}"#, crowd(65)), "65 members, one level down");
    member_ignored_in_both(format!(r#""x":[{}0]"#, "0,".repeat(500)), "an array may be long");
}
