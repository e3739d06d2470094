use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared_claims::{ErrorCode, Problem};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder, Schema};

/// The security scheme of access tokens.
const ACCESS_TOKEN: &str = "accessToken";

const ACCESS_TOKEN_TEXT: &str =
    "The `accessToken` of `POST /login` of auth-service, in `Authorization: Bearer`. It lives for minutes.";

/// Common to all calls; follows the service's own description.
const MANNERS: &str = "\n\nBodies are JSON objects (`application/json`, on `PATCH` also `application/merge-patch+json`; \
    at most 64 KB). Unknown members are ignored, `null` means absent (as an empty parameter of a query does) unless \
    the call says otherwise, and duplicate names are rejected.\n\nEvery error is `application/problem+json` (RFC 9457); \
    its `code` is stable and meant for programs. Every answer has an `X-Request-Id`, which leads to its lines in the log, \
    and `Cache-Control: no-store` where nothing else is said.\n\nWhat answers `GET` answers `HEAD` too, and `OPTIONS` lists the methods of every address.";

/// The extension in which a handler lists its own error codes; removed from the finished document.
const ERRORS: &str = "x-errors";

/// The request id of examples.
const AN_ID: &str = "0b9f6c1e4d2a4f3c8e7d5a6b9c0d1e2f";

/// Adds to `document` what each call implies: the errors of a call with a token, a body, a query or a path parameter,
/// those in its extension `x-errors`, and the headers of requests and responses.
pub fn complete(document: &mut OpenApi) {
    document.info.description.get_or_insert_default().push_str(MANNERS);
    let components = document.components.get_or_insert_default();
    let access =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(ACCESS_TOKEN_TEXT));
    components.add_security_scheme(ACCESS_TOKEN, SecurityScheme::Http(access.build()));
    components.schemas.extend(problem().map(|schema| ("Problem".to_owned(), schema)));
    for item in document.paths.paths.values_mut() {
        if let Some(RefOr::T(body)) = item.patch.as_mut().and_then(|operation| operation.request_body.as_mut()) {
            let merges = body.content.get("application/json").cloned();
            body.content.extend(merges.map(|content| ("application/merge-patch+json".to_owned(), content)));
        }
        let PathItem { get, put, post, delete, patch, .. } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            complete_call(operation, components);
        }
    }
}

fn complete_call(operation: &mut Operation, components: &mut Components) {
    let codes = codes(operation);
    if operation.responses.responses.contains_key("304") {
        let about = "The `ETag` of an answer that the client has; if it still holds, the answer is 304.";
        ask(operation, "If-None-Match", about);
        for status in ["200", "304"] {
            show(operation, status, "ETag", "Another one whenever the answer changes.");
            let about = "How long the answer may be used without asking again, if at all.";
            show(operation, status, "Cache-Control", about);
        }
    }
    if codes.contains(&ErrorCode::PreconditionFailed) {
        ask(operation, "If-Match", "An `ETag`; the answer is 412 if it is another one by now.");
        ask(operation, "If-None-Match", "An `ETag`, or `*`; the answer is 412 if it stands for what is there now.");
        show(operation, "200", "ETag", "For `If-Match`: another one after each change.");
    }
    if parameters(operation, &ParameterIn::Query).any(|name| name == "cursor") {
        show(operation, "200", "Link", "`rel=\"next\"`: the next page (RFC 8288), if there is one.");
    }
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer {
            add_header(answer, "X-Request-Id", REQUEST_ID);
        }
    }
    add_errors(operation, codes, components);
}

/// Adds a response for each status of `codes`.
fn add_errors(operation: &mut Operation, codes: Vec<ErrorCode>, components: &mut Components) {
    let mut by_status = BTreeMap::<u16, Vec<ErrorCode>>::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
        let name = names.join(".");
        if let Some(RefOr::T(own)) = operation.responses.responses.get_mut(&status.to_string()) {
            // The call has an error body of its own for this status; the common one is added.
            let ours = failure(&codes, &names);
            own.description = format!("{}\n\n{}", own.description, ours.description);
            own.content.extend(ours.content);
            continue;
        }
        operation.responses.responses.insert(status.to_string(), Ref::from_response_name(&name).into());
        components.responses.entry(name).or_insert_with(|| failure(&codes, &names).into());
    }
}

/// The errors of a call, in the order of [`ErrorCode`].
fn codes(operation: &mut Operation) -> Vec<ErrorCode> {
    use ErrorCode as Code;
    let mut codes = vec![
        Code::BadRequest,
        Code::MethodNotAllowed,
        Code::RequestTimeout,
        Code::HeadersTooLarge,
        Code::InternalError,
    ];
    if operation.security == Some(vec![SecurityRequirement::new(ACCESS_TOKEN, [""; 0])]) {
        codes.extend([Code::MissingToken, Code::InvalidToken, Code::InsufficientScope, Code::Unavailable]);
    }
    if operation.request_body.is_some() {
        codes.extend([Code::MalformedBody, Code::ContentTooLarge, Code::UnsupportedMediaType]);
    }
    // A call that takes only a form reports violations in a body of its own.
    if operation.request_body.as_ref().is_some_and(takes_json) {
        codes.push(Code::ValidationFailed);
    }
    if parameters(operation, &ParameterIn::Query).next().is_some() {
        codes.extend([Code::MalformedQuery, Code::ValidationFailed]);
    }
    if parameters(operation, &ParameterIn::Path).next().is_some() {
        codes.push(Code::NotFound);
    }
    let own = operation.extensions.as_mut().and_then(|extensions| extensions.remove(ERRORS));
    let own = own.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    codes.extend(own.filter_map(|name| name.parse::<ErrorCode>().ok()));
    codes.sort_by_key(|code| *code as usize);
    codes.dedup();
    codes
}

fn takes_json(body: &RefOr<RequestBody>) -> bool {
    matches!(body, RefOr::T(body) if body.content.contains_key("application/json"))
}

/// The names of the parameters in `place`.
fn parameters<'a>(operation: &'a Operation, place: &'a ParameterIn) -> impl Iterator<Item = &'a str> {
    operation.parameters.iter().flatten().filter_map(move |parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == *place => Some(parameter.name.as_str()),
        _ => None,
    })
}

/// Describes a request header.
fn ask(operation: &mut Operation, name: &str, text: &str) {
    let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).description(Some(text));
    let schema = ObjectBuilder::new().schema_type(Type::String);
    operation.parameters.get_or_insert_default().push(header.schema(Some(schema)).build().into());
}

/// Describes a header of the response with `status`, if there is one.
fn show(operation: &mut Operation, status: &str, name: &str, text: &str) {
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut(status) {
        add_header(answer, name, text);
    }
}

const REQUEST_ID: &str = "Leads to the lines of this request in the log.";

/// Describes a header of `answer`, unless it is described already.
fn add_header(answer: &mut Response, name: &str, text: &str) {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    let header = || HeaderBuilder::new().schema(Some(schema)).description(Some(text)).build().into();
    answer.headers.entry(name.to_owned()).or_insert_with(header);
}

/// The response for these error codes, which share one status.
fn failure(codes: &[ErrorCode], names: &[&str]) -> Response {
    let told: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.name(), code.detail())).collect();
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {"type": "object", "properties": {"code": {"type": "string", "description": "Which of them.", "enum": names}}},
    ]});
    let schema: Option<Schema> = serde_json::from_value(schema).ok();
    let examples = codes.iter().map(|code| (code.name(), ExampleBuilder::new().value(example(*code)).build()));
    let content = ContentBuilder::new().schema(schema).examples_from_iter(examples).build();
    let response = ResponseBuilder::new().description(told.join("\n\n")).content(Problem::MEDIA_TYPE, content);
    let mut response = response.build();
    for (name, text) in
        [("X-Request-Id", REQUEST_ID), ("Cache-Control", "`no-store`")].into_iter().chain(headers_of(codes))
    {
        add_header(&mut response, name, text);
    }
    response
}

fn example(code: ErrorCode) -> Option<Value> {
    serde_json::from_str(&Problem::new(code).body(Some(AN_ID))).ok()
}

/// The headers of responses with these error codes, which share one status.
fn headers_of(codes: &[ErrorCode]) -> Vec<(&'static str, &'static str)> {
    match codes[0].status() {
        401 => vec![("WWW-Authenticate", "The `Bearer` challenge (RFC 6750 section 3).")],
        403 if codes.contains(&ErrorCode::InsufficientScope) => {
            vec![("WWW-Authenticate", "With `insufficient_scope`: the challenge (RFC 6750 section 3).")]
        }
        405 => vec![("Allow", "The methods of this address.")],
        415 => vec![
            ("Accept", "The media type that the body must have."),
            ("Accept-Encoding", "`identity`, if the body was compressed."),
            ("Accept-Patch", "On `PATCH`: the media types that its body may have (RFC 5789)."),
        ],
        429 | 503 => vec![("Retry-After", "Seconds to wait.")],
        _ => Vec::new(),
    }
}

/// The schema of [`Problem`]'s body.
fn problem() -> Option<RefOr<Schema>> {
    let text = |about: &str| json!({"type": "string", "description": about});
    let schema = json!({
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": text("Always `about:blank`: `code` tells errors apart."),
            "title": text("The phrase of the status."),
            "status": {"type": "integer", "description": "The HTTP status.", "minimum": 400, "maximum": 599},
            "detail": text("For people."),
            "code": text("For programs; it does not change."),
            "requestId": text("As in `X-Request-Id`."),
            "errors": {"type": "array", "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": text("The member or parameter."),
                    "message": text("What is wrong with it; goes behind its name."),
                },
            }},
        },
    });
    serde_json::from_value(schema).ok()
}
