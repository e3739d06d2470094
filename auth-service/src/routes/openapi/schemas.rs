use shared_claims::Role;
use shared_service::http::openapi::shapes::{object, optional_flag, optional_text, text};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};

use crate::passwords::{LONGEST, SHORTEST};

/// `member` or `admin`; how a reply shows it.
pub fn role() -> ObjectBuilder {
    text("A member reads; an admin reads, changes, and manages people.").enum_values(Some(NAMES))
}

const NAMES: [&str; 2] = [Role::Member.as_str(), Role::Admin.as_str()];

/// Who somebody wants to be.
pub(super) fn newcomer() -> ObjectBuilder {
    object(
        [("username", username()), ("password", new_password("").into()), ("email", email("").into())],
        &["username", "password"],
    )
}

/// The same, with a role.
pub(super) fn newcomer_with_role() -> ObjectBuilder {
    newcomer().property("role", optional_role("`member` unless said otherwise."))
}

/// What may be different about somebody.
pub(super) fn change() -> ObjectBuilder {
    let members = [
        ("role", optional_role("Counts from their next token on.")),
        ("disabled", optional_flag("Whoever is disabled cannot sign in, and is signed out.").into()),
        ("email", email(" `null` takes it away.").into()),
        ("password", optional(new_password(" Whoever gets another one is signed out.")).into()),
    ];
    object(members, &[]).description(Some("At least one of these; what is not named stays.")).min_properties(Some(1))
}

pub(super) fn credentials() -> ObjectBuilder {
    let members = [
        ("username", optional_text("A user name, or an email.").into()),
        ("email", optional_text("Instead of `username`.").into()),
        ("password", text("Their password.").into()),
        (
            "cookie",
            optional_flag("Whether the refresh token shall travel in a cookie alone. For pages in a browser.").into(),
        ),
    ];
    object(members, &["password"]).description(Some("One of `username` and `email` must be there."))
}

pub(super) fn refresh_token() -> ObjectBuilder {
    let members = [
        ("token", optional_text("The refresh token.").into()),
        ("refreshToken", optional_text("The same under another name.").into()),
    ];
    object(members, &[])
}

pub(super) fn proof() -> ObjectBuilder {
    object([("currentPassword", text("The password as it is.").into())], &["currentPassword"])
}

pub(super) fn password_change() -> ObjectBuilder {
    proof().property("newPassword", new_password("")).required("newPassword")
}

/// What a call says when there is nothing else to say.
pub(super) fn message() -> ObjectBuilder {
    object([("message", text("For people.").into())], &["message"])
}

fn username() -> RefOr<Schema> {
    let name = text("3 to 32 characters: letters a-z in any case, digits, `.`, `_`, `-`; the first a letter or digit.");
    name.pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$")).into()
}

fn email(more: &str) -> ObjectBuilder {
    optional_text(&format!("At most 254 bytes; unlike everybody else's, in any case.{more}"))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(254))
}

/// Lengths alone; whether a password is easy to guess, no schema can say.
fn new_password(more: &str) -> ObjectBuilder {
    text(&format!(
        "Of at most {LONGEST} bytes, and not easy to guess: 422 says why, and what would help. Compared in NFC.{more}"
    ))
    .min_length(Some(SHORTEST))
    .max_length(Some(LONGEST))
}

fn optional_role(about: &str) -> RefOr<Schema> {
    let names = NAMES.into_iter().map(Some).chain([None]);
    optional_text(about).enum_values(Some(names)).into()
}

fn optional(schema: ObjectBuilder) -> ObjectBuilder {
    schema.schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}
