use shared_claims::Problem;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::schema::{AllOfBuilder, Array, ObjectBuilder};
use utoipa::openapi::{Ref, Response, ResponseBuilder, Schema};

use super::codes::Code;
use super::headers;
use super::shapes::{integer, object, text};

/// The request id of examples.
const AN_ID: &str = "0b9f6c1e4d2a4f3c8e7d5a6b9c0d1e2f";

/// The schema of [`Problem`]'s body.
pub(super) fn problem() -> Schema {
    let error = object(
        [
            ("field", text("The member or parameter.").into()),
            ("message", text("What is wrong with it; goes behind its name.").into()),
        ],
        &["field", "message"],
    );
    let body = object(
        [
            ("type", text("Always `about:blank`: `code` tells errors apart.").into()),
            ("title", text("The phrase of the status.").into()),
            ("status", integer("The HTTP status.", &(400..=599)).into()),
            ("detail", text("For people.").into()),
            ("code", text("For programs; it does not change.").into()),
            ("requestId", text("As in `X-Request-Id`.").into()),
            ("errors", Array::new(error).into()),
        ],
        &["type", "title", "status", "detail", "code", "requestId"],
    );
    body.description(Some("An error (RFC 9457).")).into()
}

/// The answer to what fails in one of these ways, which all have one status: its name among the components, and itself.
pub(super) fn answer(codes: &[Code]) -> (String, Response) {
    let names: Vec<&str> = codes.iter().map(|code| code.name).collect();
    let told: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.name, code.why)).collect();
    let narrowed = ObjectBuilder::new().property("code", text("Which of them.").enum_values(Some(names.clone())));
    let schema = AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(narrowed);
    let examples = codes.iter().map(|code| (code.name, ExampleBuilder::new().value(example(code)).build()));
    let content = ContentBuilder::new().schema(Some(Schema::AllOf(schema.build()))).examples_from_iter(examples);
    let response = ResponseBuilder::new().description(told.join("\n\n")).content(Problem::MEDIA_TYPE, content.build());
    let response = headers::of_errors(codes)
        .into_iter()
        .map(headers::HeaderText::answered)
        .fold(response, |response, (name, header)| response.header(name, header));
    (names.join("."), response.build())
}

fn example(code: &Code) -> Option<serde_json::Value> {
    let problem = Problem::new(code.status, code.name, code.why);
    serde_json::from_str(&problem.body(Some(AN_ID))).ok()
}
