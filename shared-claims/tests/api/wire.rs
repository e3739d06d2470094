use serde_json::{Value, json};
use shared_claims::{Revocation, RevocationList};

use crate::forge::NOW;

pub fn session(sid: &str, until: u64) -> Revocation {
    Revocation::Session { sid: sid.to_owned(), until }
}

pub fn subject(sub: &str, not_before: u64, until: u64) -> Revocation {
    Revocation::Subject { sub: sub.to_owned(), not_before, until }
}

fn list() -> RevocationList {
    RevocationList { cursor: "c-1".to_owned(), entries: vec![session("s-1", NOW), subject("u-1", NOW - 900, NOW)] }
}

fn list_text() -> Value {
    json!({
        "cursor": "c-1",
        "entries": [{"sid": "s-1", "until": NOW}, {"sub": "u-1", "notBefore": NOW - 900, "until": NOW}],
    })
}

#[test]
fn a_list_is_written_as_agreed() {
    assert_eq!(serde_json::to_value(list()).unwrap(), list_text());
}

#[test]
fn a_list_is_read_as_it_is_written() {
    assert_eq!(serde_json::from_value::<RevocationList>(list_text()).unwrap(), list());
    let empty = serde_json::from_str::<RevocationList>(r#"{"cursor":"","entries":[]}"#).unwrap();
    assert_eq!(empty, RevocationList { cursor: String::new(), entries: vec![] });
}

#[test]
fn unknown_members_are_ignored() {
    for (text, expected) in [
        (r#"{"sid":"s-1","until":7,"why":{"sub":"u-1"}}"#, session("s-1", 7)),
        (r#"{"x":[1],"until":7,"notBefore":5,"sub":"u-1"}"#, subject("u-1", 5, 7)),
    ] {
        assert_eq!(serde_json::from_str::<Revocation>(text).unwrap(), expected, "{text}");
    }
    let text = r#"{"next":"c-2","cursor":"c-1","entries":[{"sid":"s-1","until":7,"x":null}],"more":[{}]}"#;
    assert_eq!(serde_json::from_str::<RevocationList>(text).unwrap().entries, [session("s-1", 7)]);
}

#[test]
fn unknown_kind_of_entry_invalidates_the_list() {
    for (entry, why) in [
        (r#"{"jti":"t-1","until":7}"#, "a kind that is not known"),
        (r#"{"until":7}"#, "no kind"),
        (r#"{"sid":"s-1"}"#, "a session without its end"),
        (r#"{"sub":"u-1","until":7}"#, "a user without notBefore"),
        (r#"{"sub":"u-1","notBefore":5}"#, "a user without an end"),
        (r#"{"sid":"s-1","sub":"u-1","notBefore":5,"until":7}"#, "two kinds"),
        (r#"{"sid":"s-1","notBefore":5,"until":7}"#, "half of two kinds"),
        (r#"{"sid":"s-1","sid":"s-2","until":7}"#, "a name twice"),
        (r#"{"sid":null,"until":7}"#, "null"),
        (r#"{"sid":1,"until":7}"#, "a number for a name"),
        (r#"{"sid":"s-1","until":"7"}"#, "a text for a time"),
        (r#"{"sid":"s-1","until":7.5}"#, "half a second"),
        (r#"{"sid":"s-1","until":-1}"#, "before 1970"),
        (r#"{"sub":"u-1","notBefore":"2026-01-31T12:00:00Z","until":7}"#, "a date"),
        ("null", "nothing"),
        (r#""s-1""#, "a bare name"),
    ] {
        let text = format!(r#"{{"cursor":"c-1","entries":[{{"sid":"s-0","until":7}},{entry}]}}"#);
        assert!(serde_json::from_str::<RevocationList>(&text).is_err(), "{why}: {text}");
    }
}
