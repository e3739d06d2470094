//! Bodies and query strings as types that derive `Deserialize`, with all violations in one response.

/// Deserialization of an object's members.
mod members;
/// Types for members.
mod values;
/// Violations, field by field.
mod violations;

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::time::Duration;

use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shared_claims::{BearerAuth, ErrorCode, Problem, parse_object};

use super::media::{FORM, JSON, check_type, is_form};
use members::{Source, read_from};

pub use members::read;
pub use values::{Integer, Parsed, Patch, not_null};
pub use violations::Violations;

/// The largest accepted body, in bytes.
const LARGEST: usize = 64 * 1024;
/// The time limit for receiving a body.
const PATIENCE: Duration = Duration::from_secs(8);

/// The body of a request, one JSON object. A request without a body is refused.
///
/// The handler, not the extractor, deserializes the body: actix-web runs all extractors concurrently, and an
/// unauthorized caller must get the authorization error, not the violations of the body.
pub struct Body<T>(Map<String, Value>, PhantomData<T>);

/// An optional body of a request.
pub struct MaybeBody<T>(Option<Map<String, Value>>, PhantomData<T>);

/// The body of a request as a form, deserialized like a query string.
pub struct Form<T>(Option<Map<String, Value>>, PhantomData<T>);

/// The body of a request: a form, or JSON.
pub enum FormOrJson<F, J> {
    /// `application/x-www-form-urlencoded`.
    Form(Form<F>),
    /// Any other type, which must be JSON.
    Json(MaybeBody<J>),
}

/// The query string of a request, deserialized like a body. An empty parameter counts as absent.
pub struct Query<T>(Option<Map<String, Value>>, PhantomData<T>);

impl<T: DeserializeOwned> Body<T> {
    /// Deserializes the body.
    ///
    /// # Errors
    /// All violations; see [`read`].
    pub fn read(self) -> Result<T, Problem> {
        Ok(read(&self.0)?)
    }
}

impl<T> Body<T> {
    /// Deserializes the body as another type: the required members may depend on the settings of the service.
    ///
    /// # Errors
    /// All violations; see [`read`].
    pub fn read_as<U: DeserializeOwned>(self) -> Result<U, Problem> {
        Ok(read(&self.0)?)
    }
}

impl<T: DeserializeOwned> MaybeBody<T> {
    /// Deserializes the body, if there is one.
    ///
    /// # Errors
    /// All violations; see [`read`].
    pub fn read(self) -> Result<Option<T>, Problem> {
        Ok(self.0.as_ref().map(read).transpose()?)
    }
}

impl<T: DeserializeOwned> Form<T> {
    /// Deserializes the parameters.
    ///
    /// # Errors
    /// All violations; see [`read`]. The calls that take a form report them in an error body of their own.
    pub fn read(&self) -> Result<T, Violations> {
        let parameters = self.0.as_ref().ok_or_else(|| Violations::of("the body", "cannot be decoded"))?;
        read_from(parameters, Source::Query)
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// Deserializes the parameters.
    ///
    /// # Errors
    /// The query cannot be decoded, or all violations; see [`read`].
    pub fn read(self) -> Result<T, Problem> {
        let parameters = self.0.ok_or_else(|| Problem::new(ErrorCode::MalformedQuery))?;
        Ok(read_from(&parameters, Source::Query)?)
    }
}

impl<T: 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = MaybeBody::<T>::from_request(request, payload);
        Box::pin(async move {
            let members = body.await?.0.ok_or_else(|| malformed("This needs a JSON object in the body."))?;
            Ok(Self(members, PhantomData))
        })
    }
}

impl<T: 'static> FromRequest for MaybeBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { Ok(Self(members(&request, payload).await?, PhantomData)) })
    }
}

impl<T: 'static> FromRequest for Form<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = bytes(&request, payload).await?;
            check_type(&request, FORM)?;
            let parameters = str::from_utf8(&bytes).ok().and_then(parameters);
            Ok(Self(parameters, PhantomData))
        })
    }
}

impl<F: 'static, J: 'static> FromRequest for FormOrJson<F, J> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if is_form(request) {
            let form = Form::from_request(request, payload);
            return Box::pin(async { Ok(Self::Form(form.await?)) });
        }
        let body = MaybeBody::from_request(request, payload);
        Box::pin(async { Ok(Self::Json(body.await?)) })
    }
}

impl<T> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(parameters(request.query_string()), PhantomData)))
    }
}

/// The members of the body, if there is one.
async fn members(request: &HttpRequest, payload: Payload) -> Result<Option<Map<String, Value>>, Problem> {
    let bytes = bytes(request, payload).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    check_type(request, JSON)?;
    parse_object(&bytes).map(Some).ok_or_else(|| {
        malformed(
            "The body is not one JSON object in UTF-8, with each name once, at most 64 of them, and no number beyond \
            1.7e308.",
        )
    })
}

/// The bytes of the body.
async fn bytes(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    check_length(request)?;
    let reading = tokio::time::timeout(PATIENCE, to_bytes_limited(BodyStream::new(payload), LARGEST)).await;
    let read = reading.map_err(|_| Problem::new(ErrorCode::RequestTimeout))?;
    let bytes = read.map_err(|_| Problem::new(ErrorCode::ContentTooLarge))?;
    let bytes = bytes.map_err(|_| malformed("The body broke off."))?;
    BearerAuth::recheck_sender(request)?;
    Ok(bytes)
}

/// The non-empty parameters of `query`; `None` if it cannot be decoded.
fn parameters(query: &str) -> Option<Map<String, Value>> {
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (decode(name)?, decode(text)?);
        let value = if parameters.contains_key(&name) { Value::Array(Vec::new()) } else { Value::String(text) };
        parameters.insert(name, value);
    }
    parameters.retain(|_, value| value != "");
    Some(parameters)
}

/// Decodes a name or a value of a query. Crates for queries replace bytes that are not UTF-8.
fn decode(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(Cow::into_owned)
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(ErrorCode::MalformedBody).detail(detail)
}

/// Refuses a body with a too large `Content-Length` before reading any of it.
fn check_length(request: &HttpRequest) -> Result<(), Problem> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > LARGEST) { Err(Problem::new(ErrorCode::ContentTooLarge)) } else { Ok(()) }
}
