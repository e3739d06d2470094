use serde_json::Value;
use shared_service::clock::instant;

/// The normalized name of a member: `created_at` is `createdAt`.
pub(super) fn key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The value inside a wrapper of `MongoDB`'s Extended JSON: `{"$date": {"$numberLong": "0"}}`.
pub(super) fn plain(mut value: Value) -> Value {
    while let Some(members) = value.as_object_mut().filter(|members| members.len() == 1)
        && let Some(name) = members.keys().next().filter(|name| name.starts_with('$')).cloned()
    {
        value = members.remove(&name).unwrap_or_default();
    }
    value
}

/// A flag: in JSON true or false, in CSV and old databases also 1 or 0, t or f.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => {
            [(0.0, false), (1.0, true)].iter().find(|(n, _)| number.as_f64() == Some(*n)).map(|it| it.1)
        }
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "t" => Some(true),
            "false" | "0" | "f" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn milliseconds(value: &Value) -> Option<i64> {
    let number = |text: &str| text.parse::<i64>().ok().or_else(|| whole(text.parse().ok()?));
    match value {
        Value::Number(ms) => ms.as_i64().or_else(|| whole(ms.as_f64()?)),
        Value::String(text) => number(text.trim()).or_else(|| instant(text.trim())),
        _ => None,
    }
}

/// `1714979289010.0`, as written by a spreadsheet or a `double`.
#[expect(clippy::cast_possible_truncation, reason = "bounded")]
fn whole(ms: f64) -> Option<i64> {
    (ms.fract() == 0.0 && ms.abs() < 1e15).then_some(ms as i64)
}

/// True if the member of `--role-field` contains the role admin. A CSV cell may contain a list: as JSON, as Postgres's
/// `{user,admin}`, or separated by commas. An object has a name, or an entry for each role.
pub(super) fn is_admin(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(is_admin),
        Value::Object(members) => members.iter().any(|(name, value)| match key(name).as_str() {
            "admin" => !matches!(value, Value::Null | Value::Bool(false)) && value.as_f64() != Some(0.0),
            "name" | "role" => is_admin(value),
            _ => false,
        }),
        Value::String(text)
            if text.starts_with(['[', '{'])
                && let Ok(list) = serde_json::from_str(text) =>
        {
            is_admin(&list)
        }
        Value::String(text) => {
            let mut roles = text.split([',', ';', '{', '}']).map(|role| role.trim_matches(['"', ' ']));
            roles.any(|role| role.eq_ignore_ascii_case("admin")) || flag(value) == Some(true)
        }
        value => flag(value) == Some(true),
    }
}
