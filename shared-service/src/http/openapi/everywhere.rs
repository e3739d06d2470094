use utoipa::openapi::path::HttpMethod::Get;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::headers::CONDITIONAL_READ;
use super::shapes::{object, text};
use super::{Answer, Call, Code};

/// What they are shown under.
pub(super) const TAG: (&str, &str) = ("service", "The service itself.");

const NOT_READY: Code = Code::new(503, "not_ready", "Something that this service needs does not answer.");

/// The calls that every service has.
pub(super) fn calls() -> [Call; 3] {
    [
        Call::new(Get, "/livez", "isAlive", "Say whether the process runs").answers(status("It does.", "ok")),
        Call::new(Get, "/readyz", "isReady", "Say whether all that the service needs answers")
            .answers(status("It does.", "ready"))
            .refuses(&[NOT_READY]),
        Call::new(Get, "/openapi.json", "readDocument", "Read this document")
            .header(CONDITIONAL_READ)
            .answers(
                Answer::new("200", "The document.")
                    .header("ETag", "Another one whenever the document changes.")
                    .header("Cache-Control", "To be kept, and asked for again each time.")
                    .json(ObjectBuilder::new().schema_type(Type::Object)),
            )
            .answers(Answer::new("304", "It is what the client has.")),
    ]
    .map(|call| call.tag(TAG.0))
}

fn status(description: &str, word: &str) -> Answer {
    let status = text("One word.").enum_values(Some([word]));
    Answer::new("200", description).json(object([("status", status.into())], &["status"]))
}
