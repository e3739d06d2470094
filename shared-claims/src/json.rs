use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The maximum number of members of an object. Real headers and claims sets have far fewer.
const MOST_MEMBERS: usize = 64;

/// Parses all of `bytes` as one JSON object in UTF-8. `None` for anything else, and for a duplicate name at any depth
/// (of which `serde_json` keeps the last, so two parsers could see two different objects), an unpaired surrogate, a
/// number out of range, more than 127 levels, or more than 64 members in one object.
#[must_use]
pub fn parse_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut json = serde_json::Deserializer::from_str(str::from_utf8(bytes).ok()?);
    let value = Strict.deserialize(&mut json).ok()?;
    json.end().ok()?;
    if let Value::Object(members) = value { Some(members) } else { None }
}

/// The value of the member `name`, if it is a non-empty string.
pub(crate) fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    members.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Reads any value.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.len() == MOST_MEMBERS || members.contains_key(&name) {
                return Err(A::Error::custom("a name occurs twice, or there are too many"));
            }
            members.insert(name, map.next_value_seed(Self)?);
        }
        Ok(members.into())
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
            assert_eq!(parse_object(text), None, "{why}");
        }
    }
}
