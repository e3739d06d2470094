//! Response bodies, member by member, in this order.

use serde::Serialize;
use shared_claims::{Member, Role};
use shared_service::clock::rfc3339;
use utoipa::ToSchema;

use super::State;
use crate::sessions::Session;
use crate::tokens::TokenPair;
use crate::users::{Email, User};

/// An account as its user sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(super) struct Profile<'a> {
    #[schema(format = "uuid")]
    id: &'a str,
    username: &'a str,
    #[schema(required = true)]
    email: Option<&'a str>,
    /// True if the user proved to read mail to `email`. Absent where mail is off.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    role: Role,
    #[schema(format = DateTime)]
    created_at: String,
}

/// An account as admins see it, without the hash.
#[derive(Serialize, ToSchema)]
#[schema(as = UserRecord)]
pub(super) struct Record<'a> {
    #[serde(flatten)]
    profile: Profile<'a>,
    disabled: bool,
}

/// A user who has registered.
#[derive(Serialize, ToSchema)]
pub(super) struct Registered<'a> {
    /// For people.
    pub message: &'static str,
    pub user: Profile<'a>,
}

/// A user added by an admin.
#[derive(Serialize, ToSchema)]
pub(super) struct UserAdded<'a> {
    /// For people.
    pub message: &'static str,
    pub user: Record<'a>,
}

/// A link by which a user sets a password.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResetLink {
    /// With the ticket in its fragment.
    #[schema(format = "uri")]
    pub url: String,
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// A message.
#[derive(Serialize, ToSchema)]
pub(super) struct Message {
    /// For people.
    pub message: &'static str,
}

/// The token response (RFC 6749 section 5.1, in camelCase).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tokens<'a> {
    access_token: &'a str,
    /// Absent if it is in a cookie.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// `Bearer`
    token_type: &'static str,
    /// The lifetime of the access token, in seconds.
    expires_in: u64,
}

/// A session as its user sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device<'a> {
    #[schema(format = "uuid")]
    id: String,
    /// The `User-Agent` of the login.
    label: &'a str,
    /// The network address of the login.
    address: &'a str,
    #[schema(format = DateTime)]
    opened_at: String,
    #[schema(format = DateTime)]
    last_used_at: String,
    /// The end of the session if it is not refreshed.
    #[schema(format = DateTime)]
    expires_at: String,
    /// True for the caller's own session.
    current: bool,
}

impl<'a> Profile<'a> {
    pub(super) fn of(user: &'a User, state: &State) -> Self {
        Self {
            id: &user.id,
            username: user.username.as_str(),
            email: user.email.as_ref().map(Email::as_str),
            email_verified: state.users.outbox.as_ref().map(|_| user.email_verified_at.is_some()),
            role: user.role,
            created_at: rfc3339(user.created_at),
        }
    }
}

impl<'a> Record<'a> {
    pub(super) fn of(user: &'a User, state: &State) -> Self {
        Self { profile: Profile::of(user, state), disabled: user.disabled }
    }
}

impl<'a> Tokens<'a> {
    /// The response for `pair`, without the refresh token if that is in a cookie.
    pub(super) fn of(pair: &'a TokenPair, with_refresh_token: bool) -> Self {
        Self {
            access_token: &pair.access_token,
            refresh_token: with_refresh_token.then_some(&*pair.refresh_token),
            token_type: "Bearer",
            expires_in: pair.expires_in,
        }
    }
}

impl<'a> Device<'a> {
    /// `session` as `member` sees it.
    pub(super) fn of(session: &'a Session, member: &Member) -> Self {
        let id = session.id.to_string();
        Self {
            current: id == member.session_id,
            id,
            label: &session.label.user_agent,
            address: &session.label.address,
            opened_at: rfc3339(session.opened_at),
            last_used_at: rfc3339(session.rotated_at),
            expires_at: rfc3339(session.idle_ends_at),
        }
    }
}
