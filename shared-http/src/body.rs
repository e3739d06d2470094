use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use shared_claims::{Guard, Members, Problem, Value};

use crate::violations::{Violations, in_range};

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
}

impl Fields {
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
            Value::Negative(number) => *number,
            Value::Unsigned(number) => i64::try_from(*number).unwrap_or(i64::MAX),
            _ => return self.misshapen(name, "must be an integer"),
        };
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
                malformed("The body is not one JSON object in UTF-8, with each name once and at most 64 of them.")
            })?;
            Ok(Self(Some(Fields { members: members.into_owned(), violations: Violations::default() })))
        })
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

fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported("The body must not be compressed.").header("Accept-Encoding", "identity"));
    }
    let types: Vec<_> = request.headers().get_all(CONTENT_TYPE).collect();
    let [one] = types[..] else {
        return Err(unsupported("The body must be application/json."));
    };
    let mut parts = one.to_str().unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = parts.all(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if essence.eq_ignore_ascii_case("application/json") && utf8 {
        Ok(())
    } else {
        Err(unsupported("The body must be application/json in UTF-8."))
    }
}

fn unsupported(detail: &'static str) -> Problem {
    Problem::new(415, "unsupported_media_type", detail).header("Accept", "application/json")
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
