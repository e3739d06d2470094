/// Request bodies.
mod requests;

use actix_web::{HttpResponse, web::Data, web::Path};
use secrecy::ExposeSecret;
use shared_claims::ErrorCode::{
    Busy, EmailTaken, InvalidCredentials, InvalidResetToken, InvalidToken, InvalidVerificationToken, MailNotConfigured,
    MissingToken, PublicUrlNotConfigured, TooManyFailures, TooManyRequests, Unavailable,
};
use shared_claims::Problem;
use shared_service::clock::{now_ms, rfc3339};
use shared_service::http::request::{Body, Parsed};

use self::requests::{EmailChange, EmailVerification, ForgottenPassword, PasswordReset};
use super::callers::{CurrentAdmin, CurrentUser, PerhapsCurrentUser, RateLimited};
use super::me::{confirm_password, log_event, log_wrong};
use super::replies::{Message, ResetLink};
use super::users::{UserParam, log_by, user_id};
use super::{State, email_taken, no_admin, not_hashed};
use crate::mail::{Kind, Linked, Mail, Outbox, Purpose, Verified};
use crate::users::{By, Email};

/// Ask for a link to set another password
///
/// The answer is the same whether or not the address is an account's; so is the time that it takes.
#[utoipa::path(post, path = "/password/forgot", operation_id = "forgotPassword", tag = "mail",
    request_body = ForgottenPassword,
    responses((status = 202, description = "If the address is an account's, it gets a mail.", body = Message)),
    extensions(("x-errors" = json!([MailNotConfigured, TooManyRequests, Unavailable]))))]
pub(super) async fn forgot(
    _: RateLimited,
    state: Data<State>,
    body: Body<ForgottenPassword>,
) -> Result<HttpResponse, Problem> {
    let outbox = outbox(&state)?;
    let Parsed(email) = body.read()?.email;
    outbox.add(Mail { kind: Kind::Reset, email: &email, user_id: "" }).await?;
    Ok(accepted("If the address belongs to an account, a mail with a link is on its way."))
}

/// Set another password by a link
///
/// The ticket works once, within 30 minutes, and all sessions of the user end. A password that is refused leaves it valid.
#[utoipa::path(post, path = "/password/reset", operation_id = "resetPassword", tag = "mail", request_body = PasswordReset,
    responses((status = 204, description = "It is set.")),
    extensions(("x-errors" = json!([InvalidResetToken, TooManyRequests, Unavailable, Busy]))))]
pub(super) async fn reset(
    RateLimited(caller): RateLimited,
    state: Data<State>,
    body: Body<PasswordReset>,
) -> Result<HttpResponse, Problem> {
    let PasswordReset { token, new_password: Parsed(new) } = body.read()?;
    let (ticket, invalid) = (token.expose_secret(), || Problem::new(InvalidResetToken));
    let proof = state.recovery.find(Purpose::Reset, ticket, now_ms()).await?.ok_or_else(invalid)?;
    let user = &proof.account.user;
    let names = [user.username.as_str(), user.email.as_ref().map_or("", Email::as_str)];
    let hash = state.passwords.hash_new(caller.address.into(), new.0, &names).await;
    let hash = hash.map_err(|error| not_hashed(error, "newPassword"))?;
    if !state.recovery.reset(ticket, hash, now_ms()).await? {
        return Err(invalid());
    }
    log::info!(target: "audit", event = "password.reset", user = user.id.as_str(); "password reset");
    for login in names.into_iter().filter(|name| !name.is_empty()) {
        if let Err(error) = state.limits.forget(login, caller.address.into()).await {
            log::warn!("the failures before a password was reset still count: {error}");
        }
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Ask for another address
///
/// It is the account's once it is verified by the link in a mail. The address before gets a notice.
#[utoipa::path(put, path = "/me/email", operation_id = "changeMyEmail", tag = "me", request_body = EmailChange,
    security(("accessToken" = [])),
    responses((status = 202, description = "The address gets a mail.", body = Message)),
    extensions(("x-errors" = json!([MailNotConfigured, TooManyRequests, TooManyFailures, InvalidCredentials, Unavailable,
        Busy]))))]
pub(super) async fn change_email(
    CurrentUser { member, account }: CurrentUser,
    RateLimited(caller): RateLimited,
    state: Data<State>,
    body: Body<EmailChange>,
) -> Result<HttpResponse, Problem> {
    outbox(&state)?;
    let EmailChange { email: Parsed(email), current_password } = body.read()?;
    confirm_password(&state, &caller, &account, current_password, || log_wrong(&member)).await?;
    state.check_session(&member).await?;
    if !state.recovery.claim(&account, &email).await? {
        return Err(Problem::new(InvalidCredentials));
    }
    log_event(&member, "email.requested", "another address requested");
    Ok(accepted("A mail with a link is on its way to the new address."))
}

/// Verify an address by a link
///
/// The ticket works once, within 24 hours, and needs the access token or the password of its account beside it: a click
/// alone verifies nothing.
#[utoipa::path(post, path = "/email/verify", operation_id = "verifyEmail", tag = "mail", request_body = EmailVerification,
    security((), ("accessToken" = [])), responses((status = 204, description = "The address is the account's.")),
    extensions(("x-errors" = json!([MailNotConfigured, MissingToken, InvalidToken, InvalidCredentials,
        InvalidVerificationToken, EmailTaken, TooManyRequests, TooManyFailures, Unavailable, Busy]))))]
pub(super) async fn verify(
    PerhapsCurrentUser(user): PerhapsCurrentUser,
    RateLimited(caller): RateLimited,
    state: Data<State>,
    body: Body<EmailVerification>,
) -> Result<HttpResponse, Problem> {
    outbox(&state)?;
    let EmailVerification { token, password } = body.read()?;
    let invalid = || Problem::new(InvalidVerificationToken);
    if user.is_none() && password.is_none() {
        let detail = "This needs the access token or the password of the account that the link is for.";
        return Err(Problem::new(MissingToken).detail(detail));
    }
    let proof = state.recovery.find(Purpose::Verify, token.expose_secret(), now_ms()).await?.ok_or_else(invalid)?;
    match (user, password) {
        (Some(user), _) if user.account.user.id != proof.account.user.id => return Err(invalid()),
        (None, Some(password)) => {
            let user = proof.account.user.id.as_str();
            let log =
                || log::info!(target: "audit", event = "password.wrong", user = user; "wrong password beside a ticket");
            confirm_password(&state, &caller, &proof.account, password, log).await?;
        }
        _ => {}
    }
    match state.recovery.verify(&proof, now_ms()).await? {
        Verified::Done => {}
        Verified::Gone => return Err(invalid()),
        Verified::Taken => return Err(email_taken()),
    }
    log::info!(target: "audit", event = "email.verified", user = proof.account.user.id.as_str(); "address verified");
    Ok(HttpResponse::NoContent().finish())
}

/// Make a link by which a user sets a password
///
/// Works without mail. The ticket in it works once, within 30 minutes, while the user is enabled. It ends when the admin
/// ends a session with `DELETE /me/sessions`, is disabled or deleted, or gets another password or role.
#[utoipa::path(post, path = "/users/{id}/reset-link", operation_id = "makeResetLink", tag = "users", params(UserParam),
    security(("accessToken" = [])), responses((status = 201, description = "The link, for the user.", body = ResetLink)),
    extensions(("x-errors" = json!([PublicUrlNotConfigured]))))]
pub(super) async fn link(
    CurrentAdmin(admin): CurrentAdmin,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = user_id(&id)?;
    let linked = state.recovery.link(By::Admin(&admin.user_id), &id, now_ms()).await?.ok_or_else(no_admin)?;
    let (url, expires_at) = match linked {
        Linked::Link { url, expires_at } => (url, rfc3339(expires_at)),
        Linked::NotFound => return Err(Problem::not_found("user")),
        Linked::NotConfigured => return Err(Problem::new(PublicUrlNotConfigured)),
    };
    // A session that ended meanwhile must not get a link: the end deletes only the links that existed.
    state.check_session(&admin).await?;
    log_by(&admin, &id, "password.link_made", "reset link made");
    Ok(HttpResponse::Created().json(ResetLink { url, expires_at }))
}

/// The outbox; an error if mail is off.
fn outbox(state: &State) -> Result<&Outbox, Problem> {
    state.users.outbox.as_deref().ok_or_else(|| Problem::new(MailNotConfigured))
}

fn accepted(message: &'static str) -> HttpResponse {
    HttpResponse::Accepted().json(Message { message })
}
