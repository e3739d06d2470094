use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::codes::Code;

/// A header, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct HeaderText(pub &'static str, pub &'static str);

/// On a request that reads: answered by 304 where nothing has changed (RFC 9110 section 13.1.2).
pub const CONDITIONAL_READ: HeaderText = HeaderText(
    "If-None-Match",
    "The `ETag` of an answer that the client has; where it still holds, the answer is 304.",
);

/// On a request that writes: answered by 412 where somebody was faster (RFC 9110 section 13.1.1).
pub const CONDITIONAL_WRITE: HeaderText =
    HeaderText("If-Match", "The `ETag` of what is to be changed; where that has changed since, the answer is 412.");

/// On a request that writes: answered by 412 where the tag still holds (RFC 9110 section 13.1.2).
pub const EXCLUDING_WRITE: HeaderText =
    HeaderText("If-None-Match", "An `ETag`, or `*`; where it stands for what is there now, the answer is 412.");

pub(super) const REQUEST_ID: HeaderText = HeaderText("X-Request-Id", "Leads to the lines of this request in the log.");

impl HeaderText {
    /// As an answer has it.
    pub(super) fn answered(self) -> (&'static str, Header) {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        (self.0, HeaderBuilder::new().schema(Some(schema)).description(Some(self.1)).build())
    }

    /// As a request may have it.
    pub(super) fn asked(self) -> Parameter {
        ParameterBuilder::new()
            .name(self.0)
            .parameter_in(ParameterIn::Header)
            .required(utoipa::openapi::Required::False)
            .description(Some(self.1))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build()
    }
}

/// The headers that come with an error of these codes, which all have one status.
pub(super) fn of_errors(codes: &[Code]) -> Vec<HeaderText> {
    let mut headers = vec![REQUEST_ID, HeaderText("Cache-Control", "`no-store`")];
    let (status, scope) = (codes[0].status, codes.iter().any(|code| code.name == "insufficient_scope"));
    if status == 415 {
        headers.push(HeaderText("Accept-Patch", "On `PATCH`: the media types that its body may have (RFC 5789)."));
    }
    headers.extend(match status {
        401 => Some(HeaderText("WWW-Authenticate", "The `Bearer` challenge (RFC 6750 section 3).")),
        403 if scope => {
            Some(HeaderText("WWW-Authenticate", "With `insufficient_scope`: the challenge (RFC 6750 section 3)."))
        }
        405 => Some(HeaderText("Allow", "The methods of this address.")),
        415 => Some(HeaderText("Accept", "`application/json`, unless the body was compressed.")),
        429 | 503 => Some(HeaderText("Retry-After", "Seconds to wait.")),
        _ => None,
    });
    headers
}
