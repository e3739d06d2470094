use std::ops::RangeInclusive;

use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Array, Ref, RefOr, Schema};

/// A string.
#[must_use]
pub fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

/// A string or `null`, which is as good as nothing.
#[must_use]
pub fn optional_text(description: &str) -> ObjectBuilder {
    text(description).schema_type(or_null(Type::String))
}

/// An integer within `range`.
#[must_use]
pub fn integer(description: &str, range: &RangeInclusive<i64>) -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer).description(Some(description));
    number.minimum(Some(*range.start())).maximum(Some(*range.end()))
}

/// `true`, `false` or `null`, which is as good as nothing.
#[must_use]
pub fn optional_flag(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(or_null(Type::Boolean)).description(Some(description))
}

/// A UUID.
#[must_use]
pub fn uuid(description: &str) -> ObjectBuilder {
    text(description).format(Some(SchemaFormat::Custom("uuid".to_owned())))
}

/// An object of these members, of which `required` are always there.
#[must_use]
pub fn object<const N: usize>(members: [(&str, RefOr<Schema>); N], required: &[&str]) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let object = members.into_iter().fold(object, |object, (name, schema)| object.property(name, schema));
    required.iter().fold(object, |object, name| object.required(*name))
}

/// What an adding call answers: a sentence, and what was added, which has the schema `schema`, under `name`.
#[must_use]
pub fn added(name: &str, schema: &str) -> ObjectBuilder {
    object([("message", text("For people.").into()), (name, of(schema).into())], &["message", name])
}

/// The schema that the document calls `name`.
#[must_use]
pub fn of(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

/// An array of what has that schema.
#[must_use]
pub fn array_of(name: &str) -> Array {
    Array::new(of(name))
}

fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}
