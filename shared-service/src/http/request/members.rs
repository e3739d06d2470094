use std::fmt::Display;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::Violations;
use super::values::written_integer;

/// Deserializes a record into the struct `T`. A member that is absent or `null` is `None`, or a violation if `T`
/// requires it; unknown members are ignored.
///
/// # Errors
/// All violations, in the order of the fields of `T`.
pub fn read<T: DeserializeOwned>(members: &Map<String, Value>) -> Result<T, Violations> {
    read_from(members, Source::Json)
}

/// The format in which the values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// JSON.
    Json,
    /// A query string, in which every value is text. An array stands for a parameter that occurs twice.
    Query,
}

/// Deserializes again after each violation, because serde stops at the first one. Fields with a known violation come
/// last; an attempt that fails at such a field has found no new violation.
pub(super) fn read_from<T: DeserializeOwned>(members: &Map<String, Value>, source: Source) -> Result<T, Violations> {
    let mut wrong = Violations::default();
    loop {
        match serde_path_to_error::deserialize(Object { members, source, wrong: &wrong }) {
            Ok(value) => return Ok(value),
            Err(error) => {
                let field = error.path().to_string();
                if wrong.names(&field) {
                    return Err(wrong);
                }
                let Fault { message, is_shape } = error.into_inner();
                wrong.add(&field, message, is_shape);
            }
        }
    }
}

/// The members of one object.
struct Object<'a> {
    members: &'a Map<String, Value>,
    source: Source,
    wrong: &'a Violations,
}

impl<'de> Deserializer<'de> for Object<'_> {
    type Error = Fault;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (wrong, others): (Vec<&str>, Vec<&str>) = fields.iter().partition(|field| self.wrong.names(field));
        let member = |field| (field, Member { value: self.members.get(field), source: self.source });
        visitor.visit_map(MapDeserializer::new(others.into_iter().chain(wrong).map(member)))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::invalid_type(Unexpected::Map, &visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

/// The value of one member, if present.
struct Member<'a> {
    value: Option<&'a Value>,
    source: Source,
}

impl IntoDeserializer<'_, Fault> for Member<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Member<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            None | Some(Value::Null) => Err(Fault::custom("is required")),
            Some(Value::Bool(flag)) => visitor.visit_bool(*flag),
            Some(Value::String(text)) => visitor.visit_str(text),
            Some(Value::Number(number)) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Some(Value::Array(_)) if self.source == Source::Query => Err(Fault::custom("is given twice")),
            Some(Value::Array(_)) => Err(Fault::invalid_type(Unexpected::Seq, &visitor)),
            Some(Value::Object(_)) => Err(Fault::invalid_type(Unexpected::Map, &visitor)),
        }
    }

    /// Distinguishes absent (`visit_none`) from `null` (`visit_unit`); for an `Option` both are `None`.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            None => visitor.visit_none(),
            Some(Value::Null) => visitor.visit_unit(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match (self.source, self.value) {
            (Source::Query, Some(Value::String(text))) => {
                visitor.visit_i64(written_integer(text).ok_or_else(|| Fault::custom("must be an integer"))?)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// The error of one member.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Fault {
    message: String,
    /// True if the value has another JSON type than the field.
    is_shape: bool,
}

impl Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self { message: message.to_string(), is_shape: false }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string().replace("a boolean", "true or false");
        Self { message: format!("must be {expected}"), is_shape: true }
    }
}
