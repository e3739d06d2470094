use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde_json::Map;
use shared_claims::{Guard, Members, Problem, Value};

use super::media::check_type;
use super::violations::{Violations, in_range, whole, written_integer};

/// The largest body that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// A body arrives within this, or the request is over.
const PATIENCE: Duration = Duration::from_secs(8);

/// The members of a JSON body. Without one the request is refused.
pub struct Body(pub Fields);

/// The members of a JSON body, where there is a body.
pub struct MaybeBody(pub Option<Fields>);

/// A body's members, to be taken one by one; what is wrong with them is collected and told by [`Fields::finish`].
/// Members that nobody takes are ignored.
pub struct Fields {
    members: Members<'static>,
    violations: Violations,
    /// Whether a number may be written as a string, as it is in CSV.
    numbers_in_strings: bool,
}

impl Fields {
    fn new(members: Members<'static>, numbers_in_strings: bool) -> Self {
        Self { members, violations: Violations::default(), numbers_in_strings }
    }

    /// The members of a record of a file, where a number may be written as a string.
    #[must_use]
    pub fn of_record(record: Map<String, serde_json::Value>) -> Self {
        Self::new(record.into_iter().map(|(name, value)| (name, of_json(value))).collect(), true)
    }

    /// The string `name`, which must be there and pass `check`; "" where it does not.
    pub fn text(&mut self, name: &'static str, check: impl FnOnce(&str) -> Result<(), String>) -> String {
        self.parsed(name, |text| check(text).map(|()| text.to_owned())).unwrap_or_default()
    }

    /// The string `name`, if it is there and passes `check`.
    pub fn optional_text(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<(), String>,
    ) -> Option<String> {
        self.optional_parsed(name, |text| check(text).map(|()| text.to_owned()))
    }

    /// What `parse` makes of the string `name`, which must be there.
    pub fn parsed<T, E: Display>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        self.demand(name);
        self.optional_parsed(name, parse)
    }

    /// What `parse` makes of the string `name`, if it is there.
    pub fn optional_parsed<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.members.get(name)? {
            Value::Null => None,
            Value::Text(text) => match parse(text) {
                Ok(value) => Some(value),
                Err(message) => self.refuse(name, message.to_string()),
            },
            _ => self.misshapen(name, "must be a string"),
        }
    }

    /// The integer `name`, which must be there and lie in `range`; 0 where it does not.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> i64 {
        self.demand(name);
        self.optional_integer(name, range).unwrap_or_default()
    }

    /// The integer `name`, if it is there and lies in `range`.
    pub fn optional_integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match self.members.get(name)? {
            Value::Null => return None,
            Value::Negative(number) => Some(*number),
            Value::Unsigned(number) => Some(i64::try_from(*number).unwrap_or(i64::MAX)),
            Value::Float(number) => whole(*number),
            Value::Text(text) if self.numbers_in_strings => {
                let text = text.trim();
                written_integer(text).or_else(|| whole(text.parse().ok()?))
            }
            _ => None,
        };
        let Some(number) = number else { return self.misshapen(name, "must be an integer") };
        in_range(number, &range).map_or_else(|message| self.refuse(name, message), Some)
    }

    /// The flag `name`, if it is there.
    pub fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        match self.members.get(name)? {
            Value::Null => None,
            Value::Flag(flag) => Some(*flag),
            _ => self.misshapen(name, "must be true or false"),
        }
    }

    /// Whether the body has a member `name`, `null` too.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some()
    }

    /// Whether the body has a member `name` that is `null`.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.members.get(name) == Some(&Value::Null)
    }

    /// Adds a violation that the caller found.
    pub fn wrong(&mut self, field: &'static str, message: impl Into<String>) {
        self.violations.add(field, message);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 `malformed_body` where a member is of the wrong JSON type, else 422 `validation_failed` where one is missing
    /// or refused; either with all violations in `errors`.
    pub fn finish(self) -> Result<(), Problem> {
        self.violations.finish()
    }

    /// Ends the reading of a record.
    ///
    /// # Errors
    /// All violations in one text.
    pub fn told(self) -> Result<(), String> {
        self.violations.told()
    }

    fn demand(&mut self, name: &'static str) {
        if matches!(self.members.get(name), None | Some(Value::Null)) {
            self.violations.add(name, "is required");
        }
    }

    fn refuse<T>(&mut self, name: &'static str, message: String) -> Option<T> {
        self.violations.add(name, message);
        None
    }

    fn misshapen<T>(&mut self, name: &'static str, message: &'static str) -> Option<T> {
        self.violations.add_shape(name, message);
        None
    }
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = MaybeBody::from_request(request, payload);
        Box::pin(async move {
            let fields = read.await?.0.ok_or_else(|| malformed("This needs a JSON object in the body."))?;
            Ok(Self(fields))
        })
    }
}

impl FromRequest for MaybeBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            check_length(&request)?;
            let reading = tokio::time::timeout(PATIENCE, read(payload)).await;
            let bytes = reading.unwrap_or_else(|_| Err(Problem::of_status(408)))?;
            Guard::check_sender(&request)?;
            if bytes.is_empty() {
                return Ok(Self(None));
            }
            check_type(&request)?;
            let members = Members::parse(&bytes).map_err(|_| {
                malformed(
                    "The body is not one JSON object in UTF-8, with each name once, at most 64 of them, and no number \
                    beyond 1.7e308.",
                )
            })?;
            Ok(Self(Some(Fields::new(members.into_owned(), false))))
        })
    }
}

/// A value of a record, as far as the members of bodies tell values apart.
fn of_json(value: serde_json::Value) -> Value<'static> {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Flag(flag),
        Json::String(text) => Value::Text(text.into()),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(unsigned), _) => Value::Unsigned(unsigned),
            (None, Some(negative)) => Value::Negative(negative),
            (None, None) => number.as_f64().map_or(Value::Other, Value::Float),
        },
        Json::Array(_) | Json::Object(_) => Value::Other,
    }
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(400, "malformed_body", detail)
}

/// Refuses a body that says itself that it is too large, before a byte of it is read.
fn check_length(request: &HttpRequest) -> Result<(), Problem> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > LARGEST) { Err(Problem::of_status(413)) } else { Ok(()) }
}

async fn read(mut payload: Payload) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| malformed("The body broke off."))?;
        if bytes.len() + chunk.len() > LARGEST {
            return Err(Problem::of_status(413));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}
