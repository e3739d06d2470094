use shared_service::http::openapi::shapes::{integer, object, text, uuid};
use shared_service::http::openapi::{Answer, CONDITIONAL_READ, Call, UNAVAILABLE};
use utoipa::openapi::path::HttpMethod::Get;
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Array, RefOr, Schema};

const NOTE: &str = "What a service does not take any more, though its `exp` is still to come: all that is not over yet, or \
    what is new behind a cursor. Every service that is told where auth-service is follows it by itself.";

/// A moment, in seconds since 1970.
const EVER: std::ops::RangeInclusive<i64> = 0..=i64::MAX >> 10;

pub(super) fn calls() -> [Call; 1] {
    [Call::new(Get, "/revocations", "listRevocations", "List the access tokens that were revoked")
        .note(NOTE)
        .query("after", text("The `cursor` of the answer before; one that is not known any more is as good as none."))
        .header(CONDITIONAL_READ)
        .answers(kept(Answer::new("200", "The list.")).json(list()))
        .answers(kept(Answer::new("304", "Nothing was revoked since.")))
        .refuses(&[UNAVAILABLE])]
}

fn kept(answer: Answer) -> Answer {
    answer
        .header("Age", "Seconds since the list was complete, where an entry of it cannot be read.")
        .header("ETag", "Another one when something was revoked.")
        .header("Cache-Control", "`no-store`: a cache on the way would tell old news.")
}

fn list() -> RefOr<Schema> {
    let cursor = text("What to ask with next time, as `after`. It means nothing to whoever asks.");
    let entries = Array::new(Schema::OneOf(OneOfBuilder::new().item(session()).item(subject()).build()));
    object([("cursor", cursor.into()), ("entries", entries.into())], &["cursor", "entries"]).into()
}

fn session() -> Schema {
    let members = [("sid", uuid("One session: all its tokens.").into()), ("until", until())];
    object(members, &["sid", "until"]).into()
}

fn subject() -> Schema {
    let members = [
        ("sub", uuid("One account.").into()),
        ("notBefore", integer("Its tokens whose `iat` is earlier, in seconds since 1970.", &EVER).into()),
        ("until", until()),
    ];
    object(members, &["sub", "notBefore", "until"]).into()
}

fn until() -> RefOr<Schema> {
    integer("From then on no such token is alive, in seconds since 1970.", &EVER).into()
}
