//! Request bodies and queries, member by member; violations are reported in this order.

use std::str::FromStr;

use secrecy::SecretString;
use serde::Deserialize;
use shared_claims::Role;
use shared_service::http::request::{Integer, Parsed, Patch};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::passwords::{WeakPassword, check_length};
use crate::sessions::SessionPosition;
use crate::users::{Email, Username};

/// The maximum number of sessions per page: all of them.
pub(super) const DEVICES: i64 = 200;
/// The maximum number of users per page.
pub(super) const USERS: i64 = 1000;

/// `POST /register`. Other members, such as `role`, are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"username": "grace", "password": "seven quiet owls read maps"}))]
pub(super) struct Registration {
    /// 3 to 32 characters: letters a-z in any case, digits, `.`, `_`, `-`; the first a letter or digit.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$")]
    pub username: Parsed<Username>,
    /// At most 254 bytes; unique, in any case.
    #[schema(value_type = Option<String>, format = "idn-email", max_length = 254)]
    pub email: Option<Parsed<Email>>,
    /// At most 1024 bytes, and not easy to guess: 422 says why, and what would help. Compared in NFC.
    #[schema(value_type = String, min_length = 8, max_length = 1024)]
    pub password: Parsed<ProposedPassword>,
}

/// `POST /users`: a registration with a role. Without a password it is an invitation, where `PUBLIC_URL` is set: the user sets one
/// by a link.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"username": "ada", "password": "nine small boats at noon", "role": "admin"}))]
pub(super) struct NewUser {
    /// `member` by default.
    #[schema(value_type = Option<Role>)]
    pub role: Option<Parsed<Role>>,
    /// As in `Registration`.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$")]
    pub username: Parsed<Username>,
    /// As in `Registration`.
    #[schema(value_type = Option<String>, format = "idn-email", max_length = 254)]
    pub email: Option<Parsed<Email>>,
    /// As in `Registration`.
    #[schema(value_type = Option<String>, min_length = 8, max_length = 1024)]
    pub password: Option<Parsed<ProposedPassword>>,
}

/// A new user whose password is required, because without `PUBLIC_URL` there are no links.
#[derive(Deserialize)]
pub(super) struct NewUserWithPassword {
    pub role: Option<Parsed<Role>>,
    pub username: Parsed<Username>,
    pub email: Option<Parsed<Email>>,
    pub password: Parsed<ProposedPassword>,
}

impl From<NewUserWithPassword> for NewUser {
    fn from(NewUserWithPassword { role, username, email, password }: NewUserWithPassword) -> Self {
        Self { role, username, email, password: Some(password) }
    }
}

/// `PATCH /users/{id}`: at least one of these; an absent member stays as it is.
#[derive(Deserialize, ToSchema)]
#[schema(min_properties = 1, example = json!({"disabled": true}))]
pub(super) struct UserPatch {
    /// Counts from the user's next token on.
    #[schema(value_type = Option<Role>)]
    pub role: Patch<Parsed<Role>>,
    /// A disabled user cannot log in, and is logged out.
    #[schema(value_type = Option<bool>)]
    pub disabled: Patch<bool>,
    /// At most 254 bytes; unique, in any case. `null` removes it.
    #[schema(value_type = Option<String>, format = "idn-email", max_length = 254)]
    pub email: Patch<Parsed<Email>>,
    /// As in `Registration`. A user whose password is set is logged out.
    #[schema(value_type = Option<String>, min_length = 8, max_length = 1024)]
    pub password: Patch<Parsed<ProposedPassword>>,
}

/// `POST /login`. One of `username` and `email` is required.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"username": "anna", "password": "password123member"}))]
pub(super) struct LoginRequest {
    /// A user name, or an email.
    pub username: Option<String>,
    /// Instead of `username`.
    pub email: Option<String>,
    /// The password.
    #[schema(value_type = String)]
    pub password: Option<SecretString>,
    /// True for the refresh token in a cookie only, for pages in a browser.
    pub cookie: Option<bool>,
}

/// `POST /token`, `POST /refresh`, `POST /logout`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"token": "refreshToken of POST /login"}))]
pub(super) struct TokenRequest {
    /// The refresh token.
    pub token: Option<String>,
    /// The same under another name.
    pub refresh_token: Option<String>,
}

/// `PUT /me/password`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"currentPassword": "password123member", "newPassword": "seven quiet owls read maps"}))]
pub(super) struct PasswordChange {
    /// The current password.
    #[schema(value_type = String)]
    pub current_password: SecretString,
    /// As in `Registration`.
    #[schema(value_type = String, min_length = 8, max_length = 1024)]
    pub new_password: Parsed<ProposedPassword>,
}

/// `DELETE /me`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"currentPassword": "password123member"}))]
pub(super) struct PasswordProof {
    /// The current password.
    #[schema(value_type = String)]
    pub current_password: SecretString,
}

/// `GET /me/sessions`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListDevices {
    /// The most devices on the page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200)]
    pub limit: Option<Integer<1, DEVICES>>,
    /// The beginning of the page, as `Link` of the page before gives it.
    #[param(value_type = Option<String>)]
    pub cursor: Option<Parsed<DeviceCursor>>,
}

/// `DELETE /me/sessions`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EndDevices {
    /// `current` keeps the caller's own session.
    #[param(value_type = Option<String>, pattern = "^current$")]
    pub except: Option<Parsed<OwnSession>>,
}

/// `GET /users`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListUsers {
    /// The most users on the page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    pub limit: Option<Integer<1, USERS>>,
    /// Occurs in the user name or the email.
    pub q: Option<String>,
    /// The beginning of the page, as `Link` of the page before gives it.
    #[param(value_type = Option<String>)]
    pub cursor: Option<Parsed<UserCursor>>,
}

/// `GET /revocations`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListRevocations {
    /// The `cursor` of the answer before; an unknown one counts as none.
    pub after: Option<String>,
}

/// A password of a permitted length.
pub(super) struct ProposedPassword(pub SecretString);

impl FromStr for ProposedPassword {
    type Err = WeakPassword;

    fn from_str(text: &str) -> Result<Self, WeakPassword> {
        check_length(text)?;
        Ok(Self(text.into()))
    }
}

/// The session of the caller.
pub(super) struct OwnSession;

impl FromStr for OwnSession {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "current" { Ok(Self) } else { Err("must be current") }
    }
}

const UNKNOWN_CURSOR: &str = "must be one that a page gave in its Link";

/// The position of a session in the list: the time of its login, and its id.
pub(super) struct DeviceCursor(pub SessionPosition);

impl FromStr for DeviceCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (opened_at, id) = text.split_once('.').ok_or(UNKNOWN_CURSOR)?;
        let position = (opened_at.parse().map_err(|_| UNKNOWN_CURSOR)?, id.parse().map_err(|_| UNKNOWN_CURSOR)?);
        // Only digits, as this service writes them.
        if position.0 >= 0 && !opened_at.starts_with('+') { Ok(Self(position)) } else { Err(UNKNOWN_CURSOR) }
    }
}

/// The id of a user in its canonical spelling.
pub(super) struct UserCursor(pub String);

impl FromStr for UserCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let id = Uuid::try_parse(text).map_err(|_| UNKNOWN_CURSOR)?.to_string();
        if id == text { Ok(Self(id)) } else { Err(UNKNOWN_CURSOR) }
    }
}
