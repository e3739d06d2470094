use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The maximum number of members bounds the search for duplicate names. Real headers and claims sets have far fewer.
const MOST_MEMBERS: usize = 64;

/// The members of one JSON object, in document order; names are unique.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// The value of a member. Only the types that tokens use keep their content.
#[derive(Debug, PartialEq)]
pub enum Value<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// An integer from 0 to 2^64 - 1, written without fraction or exponent.
    Unsigned(u64),
    /// An integer from -2^63 to -1, likewise.
    Negative(i64),
    /// Any other number: one with a fraction or an exponent, `-0`, or an integer outside both ranges.
    Float(f64),
    /// `true` or `false`.
    Flag(bool),
    /// `null`.
    Null,
    /// An array of strings.
    Texts(Vec<Cow<'a, str>>),
    /// Any other well-formed value.
    Other,
}

/// The text is not exactly one JSON object, or an object in it has a duplicate name.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON object with unique names")]
pub struct NotAnObject;

impl<'a> Members<'a> {
    /// Parses all of `bytes` as one JSON object in UTF-8.
    ///
    /// # Errors
    /// `bytes` are anything else, or contain a duplicate name at any depth, an unpaired surrogate, a number out of
    /// range, more than 127 levels, or more than 64 members in one object.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotAnObject> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAnObject)?;
        let mut json = serde_json::Deserializer::from_str(text);
        let members = json.deserialize_map(ObjectVisitor).map_err(|_| NotAnObject)?;
        json.end().map_err(|_| NotAnObject)?;
        Ok(members)
    }

    /// The value of `name`, if there is such a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The value of the member `name`, if it is a non-empty string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The value of the member `name`, if it is an unsigned integer.
    #[must_use]
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Unsigned(number) => Some(*number),
            _ => None,
        }
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members(Vec::with_capacity(12));
        while let Some(name) = map.next_key_seed(ValueVisitor)? {
            let Value::Text(name) = name else { return Err(A::Error::custom("a name is a string")) };
            if members.get(&name).is_some() || members.0.len() == MOST_MEMBERS {
                return Err(A::Error::custom("a name occurs twice, or there are too many"));
            }
            members.0.push((name, map.next_value_seed(ValueVisitor)?));
        }
        Ok(members)
    }
}

/// Reads any value to its end, so that a malformed value is found even in an unused member.
struct ValueVisitor;

impl<'de> DeserializeSeed<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Negative(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(number))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut texts = Some(Vec::new());
        while let Some(item) = items.next_element_seed(ValueVisitor)? {
            texts = match (texts, item) {
                (Some(mut texts), Value::Text(text)) => {
                    texts.push(text);
                    Some(texts)
                }
                _ => None,
            };
        }
        Ok(texts.map_or(Value::Other, Value::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
        ObjectVisitor.visit_map(map).map(|_| Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_strict_object_is_refused() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        let crowd: Vec<String> = (0..65).map(|n| format!(r#""{n}":0"#)).collect();
        let crowd = format!("{{{}}}", crowd.join(","));
        let cases: [(&[u8], &str); 15] = [
            (b"", "nothing"),
            (b"[]", "an array"),
            (b"\"a\"", "a string"),
            (b"{} {}", "two objects"),
            (b"{\"a\":1", "cut off"),
            (b"\xef\xbb\xbf{}", "a byte order mark"),
            (br#"{"a":1,"a":1}"#, "a name twice"),
            (br#"{"a":1,"\u0061":1}"#, "a name twice, once escaped"),
            (br#"{"a":{"b":1,"b":1}}"#, "a name twice, deeper"),
            (b"{\"a\":\"\xff\"}", "no UTF-8 in a value"),
            (br#"{"a":"\ud800"}"#, "half a surrogate pair"),
            (br#"{"a":NaN}"#, "NaN"),
            (br#"{"a":1e999}"#, "a number out of range"),
            (deep.as_bytes(), "10,000 levels"),
            (crowd.as_bytes(), "65 members"),
        ];
        for (text, why) in cases {
            assert!(Members::parse(text).is_err(), "{why}");
        }
    }

    #[test]
    fn values_keep_their_type() {
        let text = br#" {"t":"x","n":18446744073709551615,"f":1.0,"e":1e3,"m":-1,"z":-0,"l":["a","b"],"x":["a",1],"o":{"p":null},"q":true,"d":"\u00e9"} "#;
        let members = Members::parse(text).unwrap_or_default();
        assert_eq!(members.text("t"), Some("x"));
        assert_eq!(members.text("d"), Some("é"));
        assert_eq!(members.unsigned("n"), Some(u64::MAX));
        for name in ["x", "o"] {
            assert_eq!(members.get(name), Some(&Value::Other), "{name}");
        }
        for (name, number) in [("f", 1.0), ("e", 1000.0), ("z", -0.0)] {
            assert_eq!(members.get(name), Some(&Value::Float(number)), "{name}");
            assert_eq!(members.unsigned(name), None, "{name}: no token writes an integer so");
        }
        assert_eq!(members.get("m"), Some(&Value::Negative(-1)));
        assert_eq!(members.get("q"), Some(&Value::Flag(true)));
        assert_eq!(members.get("l"), Some(&Value::Texts(vec!["a".into(), "b".into()])));
        assert_eq!(members.get("absent"), None);
    }
}
