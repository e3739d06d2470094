use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, web::Data, web::Path};
use shared_claims::{Member, Problem, Role};
use shared_service::{Body, Caller, Fields, Query, link_next};

use super::admitted::Admitted;
use super::current::CurrentUser;
use super::replies::{Device, Profile};
use super::{State, invalid_credentials, last_admin, login_refused, not_hashed};
use crate::endings::complete_of;
use crate::grants::LoginRefused;
use crate::sessions::{MOST_SESSIONS, Place, Session, SessionId};
use crate::users::{Account, By, Deleted, Email, UserChange};

/// The most devices that one answer holds: all that there are.
pub(super) const PAGE: i64 = 200;

/// `GET /me`.
pub(super) async fn read(CurrentUser { account, .. }: CurrentUser) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(Profile::from(&account.user)))
}

/// `PUT /me/password`: whoever knows the current password sets another; all other devices are signed out.
pub(super) async fn change_password(
    CurrentUser { member, account }: CurrentUser,
    Admitted(caller): Admitted,
    state: Data<State>,
    Body(mut fields): Body,
) -> Result<HttpResponse, Problem> {
    let current = fields.text("currentPassword", |_| Ok(()));
    let new = fields.text("newPassword", |text| crate::passwords::check_length(text).map_err(|weak| weak.to_string()));
    fields.finish()?;
    prove(&state, &caller, &member, &account, current).await?;
    let about = [account.user.username.as_str(), account.user.email.as_ref().map_or("", Email::as_str)];
    let hash = state
        .passwords
        .hash_new(caller.address.into(), new, &about)
        .await
        .map_err(|error| not_hashed(error, "newPassword"))?;
    owns(&state, &account).await?;
    // Before as well as after: while sessions cannot be ended, the password stays as it was.
    state.sessions.end_all(&member.user_id, session_id(&member)).await?;
    let goes_on = Some(member.session_id.clone());
    let change = UserChange { hash: Some(hash), goes_on, ..UserChange::default() };
    let changed = state.users.change_by(By::Owner(&account), &account.user.id, &change).await?;
    changed.ok_or_else(invalid_credentials)?;
    log_event(&member, "password.changed", "password changed");
    complete_of(&state.users, &*state.sessions, &account.user.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /me`: whoever knows the current password leaves, with all sessions.
pub(super) async fn delete(
    CurrentUser { member, account }: CurrentUser,
    Admitted(caller): Admitted,
    state: Data<State>,
    Body(mut fields): Body,
) -> Result<HttpResponse, Problem> {
    let current = current_password(&mut fields);
    fields.finish()?;
    prove(&state, &caller, &member, &account, current).await?;
    owns(&state, &account).await?;
    // While sessions cannot be ended, nobody is half gone. Before as well as after, unless it may be the last admin, who stays.
    if account.user.role == Role::Admin {
        state.sessions.ping().await?;
    } else {
        state.sessions.end_all(&member.user_id, None).await?;
    }
    let deleted = state.users.delete_by(By::Owner(&account), &account.user.id).await?;
    if matches!(deleted.ok_or_else(invalid_credentials)?, Deleted::LastAdmin) {
        return Err(last_admin());
    }
    log_event(&member, "user.deleted", "left");
    complete_of(&state.users, &*state.sessions, &account.user.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /me/sessions`: the devices signed in, the newest first, page by page.
pub(super) async fn devices(
    CurrentUser { member, .. }: CurrentUser,
    _: Admitted,
    state: Data<State>,
    request: HttpRequest,
    Query(mut params): Query,
) -> Result<HttpResponse, Problem> {
    let limit = params.optional_integer("limit", 1..=PAGE).unwrap_or(PAGE);
    let cursor = params.optional_text("cursor", |cursor| match place(cursor) {
        Some(_) => Ok(()),
        None => Err("must be one that a page gave in its Link".to_owned()),
    });
    params.finish()?;
    let (after, limit) = (cursor.as_deref().and_then(place), usize::try_from(limit).unwrap_or(MOST_SESSIONS));
    // One more than asked for tells whether there is a next page.
    let mut sessions = state.sessions.list(&member.user_id, after, limit + 1).await?;
    let more = sessions.len() > limit;
    sessions.truncate(limit);
    let mut response = HttpResponse::Ok();
    if let Some((opened_at, id)) = sessions.last().filter(|_| more).map(Session::place) {
        let next = link_next("/me/sessions", request.query_string(), &format!("{opened_at}.{id}"));
        response.insert_header((LINK, next));
    }
    Ok(response.json(sessions.iter().map(|session| Device::of(session, &member)).collect::<Vec<_>>()))
}

/// `DELETE /me/sessions/{id}`: signs one device out.
pub(super) async fn sign_out_device(
    CurrentUser { member, .. }: CurrentUser,
    _: Admitted,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("session");
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    if !state.sessions.end(&member.user_id, id).await? {
        return Err(unknown());
    }
    let (user, by) = (member.user_id.as_str(), member.session_id.as_str());
    log::info!(target: "audit", event = "session.ended", user = user, session:% = id, by_session = by; "device signed out");
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /me/sessions`: signs every device out, this one too.
pub(super) async fn sign_out_everywhere(
    CurrentUser { member, .. }: CurrentUser,
    _: Admitted,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.sessions.end_all(&member.user_id, None).await?;
    log_event(&member, "session.all_ended", "signed out everywhere");
    Ok(HttpResponse::NoContent().finish())
}

/// Refuses a `password` that is not the current one of `account`. Whoever found or stole an access token guesses no faster here
/// than at the login.
async fn prove(
    state: &State,
    caller: &Caller,
    member: &Member,
    account: &Account,
    password: String,
) -> Result<(), Problem> {
    let (name, hash, from) = (account.user.username.as_str(), &account.hash, caller.address.into());
    let check = async {
        let is_right = state.passwords.is_right(from, password, hash).await?;
        if !is_right {
            log_event(member, "password.wrong", "wrong current password");
        }
        Ok(is_right.then_some(()))
    };
    let proven = state.limits.guarded(name, from, check).await;
    proven.and_then(|right| right.ok_or(LoginRefused::Wrong)).map_err(|why| login_refused(why, "password.throttled"))
}

/// Refuses whoever proved to own `account`, if that was disabled, deleted or given another password since: what was proven
/// proves nothing any more, and must not end a session.
async fn owns(state: &State, account: &Account) -> Result<(), Problem> {
    let now = state.users.account(&account.user.id).await?;
    now.filter(|now| account.still_counts(now)).map(drop).ok_or_else(invalid_credentials)
}

/// A line about what somebody did with their own account.
fn log_event(member: &Member, event: &'static str, text: &'static str) {
    let (user, session) = (member.user_id.as_str(), member.session_id.as_str());
    log::info!(target: "audit", event = event, user = user, session = session; "{text}");
}

fn current_password(fields: &mut Fields) -> String {
    fields.text("currentPassword", |_| Ok(()))
}

/// The place that a cursor names: when a session was opened, and its id.
fn place(cursor: &str) -> Option<Place> {
    let (opened_at, id) = cursor.split_once('.')?;
    let place = (opened_at.parse().ok()?, id.parse().ok()?);
    // Digits alone, as they were written.
    (place.0 >= 0 && !opened_at.starts_with('+')).then_some(place)
}

fn session_id(member: &Member) -> Option<SessionId> {
    member.session_id.parse().ok()
}
