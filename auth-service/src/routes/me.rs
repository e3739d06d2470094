use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, web::Data, web::Path};
use secrecy::SecretString;
use shared_claims::ErrorCode::{Busy, InvalidCredentials, LastAdmin, TooManyFailures, TooManyRequests, Unavailable};
use shared_claims::{Member, Problem, Role};
use shared_service::database::StoreError;
use shared_service::http::request::{Body, Parsed, Query};
use shared_service::{Caller, link_next};

use super::callers::{CurrentUser, RateLimited};
use super::replies::{Device, Profile};
use super::requests::{DEVICES, EndDevices, ListDevices, PasswordChange, PasswordProof};
use super::{State, login_refused, not_hashed};
use crate::endings::complete_of;
use crate::grants::LoginRefused;
use crate::sessions::{MOST_SESSIONS, Session, SessionId};
use crate::users::{Account, By, Deleted, Email, UserChange};

/// Read the caller's account
#[utoipa::path(get, path = "/me", operation_id = "readMe", security(("accessToken" = [])),
    responses((status = 200, description = "The account.", body = Profile)))]
pub(super) async fn read(
    CurrentUser { account, .. }: CurrentUser,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(Profile::of(&account.user, &state)))
}

/// Set another password
///
/// All other sessions of the user end.
#[utoipa::path(put, path = "/me/password", operation_id = "changeMyPassword", request_body = PasswordChange,
    security(("accessToken" = [])), responses((status = 204, description = "It is set.")),
    extensions(("x-errors" = json!([TooManyRequests, TooManyFailures, InvalidCredentials, Unavailable, Busy]))))]
pub(super) async fn change_password(
    CurrentUser { member, account }: CurrentUser,
    RateLimited(caller): RateLimited,
    state: Data<State>,
    body: Body<PasswordChange>,
) -> Result<HttpResponse, Problem> {
    let PasswordChange { current_password, new_password: Parsed(new) } = body.read()?;
    confirm_password(&state, &caller, &account, current_password, || log_wrong(&member)).await?;
    let about = [account.user.username.as_str(), account.user.email.as_ref().map_or("", Email::as_str)];
    let hash = state
        .passwords
        .hash_new(caller.address.into(), new.0, &about)
        .await
        .map_err(|error| not_hashed(error, "newPassword"))?;
    owns(&state, &member, &account).await?;
    // While sessions cannot be ended, the password stays unchanged. They end after the change, because a change that is
    // refused must end none.
    state.sessions.ping().await?;
    let goes_on = Some(member.session_id.clone());
    let change = UserChange { hash: Some(hash), goes_on, ..UserChange::default() };
    let changed = state.users.change_by(By::Owner(&account), &account.user.id, &change).await?;
    changed.ok_or_else(|| Problem::new(InvalidCredentials))?;
    log_event(&member, "password.changed", "password changed");
    complete_of(&state.users, &*state.sessions, &account.user.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Delete the caller's account
///
/// For good, with all sessions.
#[utoipa::path(delete, path = "/me", operation_id = "deleteMe", request_body = PasswordProof,
    security(("accessToken" = [])), responses((status = 204, description = "It is gone.")),
    extensions(("x-errors" = json!([TooManyRequests, TooManyFailures, InvalidCredentials, LastAdmin, Unavailable, Busy]))))]
pub(super) async fn delete(
    CurrentUser { member, account }: CurrentUser,
    RateLimited(caller): RateLimited,
    state: Data<State>,
    body: Body<PasswordProof>,
) -> Result<HttpResponse, Problem> {
    confirm_password(&state, &caller, &account, body.read()?.current_password, || log_wrong(&member)).await?;
    owns(&state, &member, &account).await?;
    // As for a new password: while sessions cannot be ended, the account is not deleted.
    state.sessions.ping().await?;
    let deleted = state.users.delete_by(By::Owner(&account), &account.user.id).await?;
    if matches!(deleted.ok_or_else(|| Problem::new(InvalidCredentials))?, Deleted::LastAdmin) {
        return Err(Problem::new(LastAdmin));
    }
    log_event(&member, "user.deleted", "left");
    complete_of(&state.users, &*state.sessions, &account.user.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List the devices signed in, page by page
///
/// There are 200 at most: a login ends the session that was unused longest.
#[utoipa::path(get, path = "/me/sessions", operation_id = "listMySessions", params(ListDevices),
    security(("accessToken" = [])), responses((status = 200, description = "The page, the newest first.", body = [Device])),
    extensions(("x-errors" = json!([TooManyRequests]))))]
pub(super) async fn devices(
    CurrentUser { member, .. }: CurrentUser,
    _: RateLimited,
    state: Data<State>,
    request: HttpRequest,
    query: Query<ListDevices>,
) -> Result<HttpResponse, Problem> {
    let query = query.read()?;
    let limit = query.limit.map_or(DEVICES, |limit| limit.0);
    let (after, limit) = (query.cursor.map(|Parsed(cursor)| cursor.0), usize::try_from(limit).unwrap_or(MOST_SESSIONS));
    // One more than asked for shows if there is a next page.
    let mut sessions = state.sessions.list(&member.user_id, after, limit + 1).await?;
    let more = sessions.len() > limit;
    sessions.truncate(limit);
    let mut response = HttpResponse::Ok();
    if let Some((opened_at, id)) = sessions.last().filter(|_| more).map(Session::position) {
        let next = link_next("/me/sessions", request.query_string(), &format!("{opened_at}.{id}"));
        response.insert_header((LINK, next));
    }
    Ok(response.json(sessions.iter().map(|session| Device::of(session, &member)).collect::<Vec<_>>()))
}

/// Log one device out
#[utoipa::path(delete, path = "/me/sessions/{id}", operation_id = "endMySession", security(("accessToken" = [])),
    params(("id" = String, Path, format = "uuid", description = "The `id` of a device.")),
    responses((status = 204, description = "Its session has ended.")), extensions(("x-errors" = json!([TooManyRequests]))))]
pub(super) async fn sign_out_device(
    CurrentUser { member, account }: CurrentUser,
    _: RateLimited,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("session");
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    withdraw_links(&state, &account).await?;
    if !state.sessions.end(&member.user_id, id).await? {
        return Err(unknown());
    }
    withdraw_links(&state, &account).await?;
    let (user, by) = (member.user_id.as_str(), member.session_id.as_str());
    log::info!(target: "audit", event = "session.ended", user = user, session:% = id, by_session = by; "device signed out");
    Ok(HttpResponse::NoContent().finish())
}

/// Log all devices out, this one too unless it is excepted
///
/// The caller's own tokens stay valid if it is excepted.
#[utoipa::path(delete, path = "/me/sessions", operation_id = "endAllMySessions", params(EndDevices),
    security(("accessToken" = [])), responses((status = 204, description = "The sessions have ended.")),
    extensions(("x-errors" = json!([TooManyRequests]))))]
pub(super) async fn sign_out_everywhere(
    CurrentUser { member, account }: CurrentUser,
    _: RateLimited,
    state: Data<State>,
    query: Query<EndDevices>,
) -> Result<HttpResponse, Problem> {
    let is_kept = query.read()?.except.is_some();
    withdraw_links(&state, &account).await?;
    if is_kept {
        // One by one, because the end of all revokes the access tokens of the session that goes on.
        for session in state.sessions.list(&member.user_id, None, usize::MAX).await? {
            if session.id.to_string() != member.session_id {
                state.sessions.end(&member.user_id, session.id).await?;
            }
        }
    } else {
        state.sessions.end_all(&member.user_id, None).await?;
    }
    withdraw_links(&state, &account).await?;
    log_event(&member, "session.all_ended", "signed out everywhere");
    Ok(HttpResponse::NoContent().finish())
}

/// Ends the links that `account` made, if it is an admin. Called before a session ends, so that a client whose call
/// fails still has a session to repeat it, and after that, because the session may have made a link meanwhile.
async fn withdraw_links(state: &State, account: &Account) -> Result<(), StoreError> {
    if account.user.role == Role::Admin { state.users.withdraw_links(&account.user.id).await } else { Ok(()) }
}

/// Refuses a `password` that is not the current one of `account`, with the same limits as the login: a stolen access
/// token must not help to guess it. `log` records the failure.
pub(super) async fn confirm_password(
    state: &State,
    caller: &Caller,
    account: &Account,
    password: SecretString,
    log: impl FnOnce(),
) -> Result<(), Problem> {
    let (name, hash, from) = (account.user.username.as_str(), &account.hash, caller.address.into());
    let check = async {
        let right = state.passwords.verify(from, password, hash).await?;
        if right.is_none() {
            log();
        }
        Ok(right.map(|right| ((), right.rest)))
    };
    let confirmed = state.limits.guarded(name, from, check).await;
    confirmed.and_then(|right| right.ok_or(LoginRefused::Wrong)).map_err(|why| login_refused(why, "password.throttled"))
}

/// Refuses a caller whose `account` was disabled, deleted or given another password since the current password was
/// confirmed. The confirmation is void, and must not end a session.
pub(super) async fn owns(state: &State, member: &Member, account: &Account) -> Result<(), Problem> {
    state.check_session(member).await?;
    let now = state.users.account(&account.user.id).await?;
    now.filter(|now| account.still_counts(now)).map(drop).ok_or_else(|| Problem::new(InvalidCredentials))
}

/// Writes an audit event about a user's own account.
pub(super) fn log_event(member: &Member, event: &'static str, text: &'static str) {
    let (user, session) = (member.user_id.as_str(), member.session_id.as_str());
    log::info!(target: "audit", event = event, user = user, session = session; "{text}");
}

pub(super) fn log_wrong(member: &Member) {
    log_event(member, "password.wrong", "wrong current password");
}
