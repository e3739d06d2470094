use actix_web::http::header::{LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web::Data, web::Path};
use shared_claims::ErrorCode::{Busy, EmailTaken, LastAdmin, UsernameTaken, ValidationFailed};
use shared_claims::{Admin, Problem};
use shared_service::http::request::Patch::{Keep, Remove, Set};
use shared_service::http::request::{Body, Parsed, Query};
use shared_service::{Caller, link_next};
use utoipa::IntoParams;

use super::callers::CurrentAdmin;
use super::registration::create;
use super::replies::{Record, UserAdded};
use super::requests::{ListUsers, NewUser, NewUserWithPassword, USERS, UserPatch};
use super::{State, email_taken, no_admin, not_hashed};
use crate::endings::complete_of;
use crate::users::{By, Changed, Deleted, Email, User, UserChange, UserId};

/// The account that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the path alone")]
pub(super) struct UserParam {
    /// The `id` of an account.
    #[param(format = "uuid")]
    id: String,
}

/// List users, page by page
///
/// If more than 1000 users match `q`, counting stops, and `X-Total-Count-At-Least` takes the place of `X-Total-Count`.
#[utoipa::path(get, path = "/users", operation_id = "listUsers", params(ListUsers), security(("accessToken" = [])),
    responses((status = 200, description = "The page.", body = [Record],
        headers(("X-Total-Count" = i64, description = "The number of users on all pages, if it is known."),
            ("X-Total-Count-At-Least" = i64, description = "A number that it exceeds, if it is not known.")))))]
pub(super) async fn list(
    _: CurrentAdmin,
    state: Data<State>,
    request: HttpRequest,
    query: Query<ListUsers>,
) -> Result<HttpResponse, Problem> {
    let query = query.read()?;
    let limit = query.limit.map_or(USERS, |limit| limit.0);
    let cursor = query.cursor.map(|Parsed(cursor)| cursor.0);
    let page = state.users.page(limit, cursor.as_deref(), query.q.as_deref()).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header(page.total.header());
    if let Some(next) = &page.next {
        response.insert_header((LINK, link_next("/users", request.query_string(), next)));
    }
    Ok(response.json(page.items.iter().map(|user| Record::of(user, &state)).collect::<Vec<_>>()))
}

/// Read an account
#[utoipa::path(get, path = "/users/{id}", operation_id = "readUser", params(UserParam), security(("accessToken" = [])),
    responses((status = 200, description = "The account.", body = Record)))]
pub(super) async fn read(_: CurrentAdmin, state: Data<State>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let user = state.users.find(&user_id(&id)?).await?.ok_or_else(|| Problem::not_found("user"))?;
    Ok(HttpResponse::Ok().json(Record::of(&user, &state)))
}

/// Add a user
///
/// Without a password it is an invitation, where the service has a `PUBLIC_URL`: `POST /users/{id}/reset-link` makes the link by
/// which the user sets one.
#[utoipa::path(post, path = "/users", operation_id = "addUser", request_body = NewUser, security(("accessToken" = [])),
    responses((status = 201, description = "The user can log in.", body = UserAdded,
        headers(("Location" = String, description = "The address of what was added.")))),
    extensions(("x-errors" = json!([UsernameTaken, EmailTaken, Busy]))))]
pub(super) async fn add(
    CurrentAdmin(admin): CurrentAdmin,
    caller: Caller,
    state: Data<State>,
    body: Body<NewUser>,
) -> Result<HttpResponse, Problem> {
    let new = if state.recovery.has_links() { body.read()? } else { body.read_as::<NewUserWithPassword>()?.into() };
    let user = create(&state, &caller, new, Some(&admin)).await?;
    log_by(&admin, &user.id, "user.added", "added");
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/users/{}", user.id)))
        .json(UserAdded { message: "User added successfully", user: Record::of(&user, &state) }))
}

/// Change a user's role, email or password; disable or enable the account
#[utoipa::path(patch, path = "/users/{id}", operation_id = "changeUser", params(UserParam), request_body = UserPatch,
    security(("accessToken" = [])), responses((status = 200, description = "The account as it is now.", body = Record)),
    extensions(("x-errors" = json!([LastAdmin, EmailTaken, Busy]))))]
pub(super) async fn change(
    CurrentAdmin(admin): CurrentAdmin,
    caller: Caller,
    state: Data<State>,
    id: Path<String>,
    body: Body<UserPatch>,
) -> Result<HttpResponse, Problem> {
    let patch = body.read()?;
    if matches!(patch, UserPatch { role: Keep, disabled: Keep, email: Keep, password: Keep }) {
        return Err(Problem::new(ValidationFailed).error("role", "or disabled, email or password must be given"));
    }
    let id = user_id(&id)?;
    let before = state.users.find(&id).await?.ok_or_else(|| Problem::not_found("user"))?;
    let change = patch.into_change(&state, &caller, &before).await?;
    if change.hash.is_some() {
        state.check_session(&admin).await?;
    }
    if change.ends_sessions() || change.outdates_tokens() {
        // While the session store is unavailable, the account is not changed.
        state.sessions.ping().await?;
    }
    let changed = state.users.change_by(By::Admin(&admin.user_id), &id, &change).await?.ok_or_else(no_admin)?;
    let (before, after) = match changed {
        Changed::Done { before, after } => (before, after),
        Changed::NotFound => return Err(Problem::not_found("user")),
        Changed::LastAdmin => return Err(Problem::new(LastAdmin)),
        Changed::EmailTaken => return Err(email_taken()),
    };
    log_change(&admin, &before, &after, change.hash.is_some());
    complete_of(&state.users, &*state.sessions, &id).await?;
    Ok(HttpResponse::Ok().json(Record::of(&after, &state)))
}

/// Delete a user
///
/// For good, with all sessions.
#[utoipa::path(delete, path = "/users/{id}", operation_id = "deleteUser", params(UserParam),
    security(("accessToken" = [])), responses((status = 204, description = "It is gone.")),
    extensions(("x-errors" = json!([LastAdmin]))))]
pub(super) async fn delete(
    CurrentAdmin(admin): CurrentAdmin,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.sessions.ping().await?;
    let id = user_id(&id)?;
    let deleted = state.users.delete_by(By::Admin(&admin.user_id), &id).await?.ok_or_else(no_admin)?;
    match deleted {
        Deleted::LastAdmin => return Err(Problem::new(LastAdmin)),
        Deleted::NotFound => {}
        Deleted::Done(_) => log_by(&admin, &id, "user.deleted", "deleted"),
    }
    // Also for a deleted user: an earlier attempt may have been interrupted.
    complete_of(&state.users, &*state.sessions, &id).await?;
    if matches!(deleted, Deleted::NotFound) {
        return Err(Problem::not_found("user"));
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Log a user out everywhere
#[utoipa::path(delete, path = "/users/{id}/sessions", operation_id = "endUserSessions", params(UserParam),
    security(("accessToken" = [])), responses((status = 204, description = "All sessions have ended.")))]
pub(super) async fn sign_out(
    CurrentAdmin(admin): CurrentAdmin,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = user_id(&id)?;
    let change = UserChange { sign_out: true, ..UserChange::default() };
    let changed = state.users.change_by(By::Admin(&admin.user_id), &id, &change).await?.ok_or_else(no_admin)?;
    let Changed::Done { after: user, .. } = changed else { return Err(Problem::not_found("user")) };
    complete_of(&state.users, &*state.sessions, &user.id).await?;
    log_by(&admin, &user.id, "session.all_ended", "signed out everywhere");
    Ok(HttpResponse::NoContent().finish())
}

/// Parses the id in a path. A text that is not a UUID gives 404, as an unknown id does.
pub(super) fn user_id(id: &str) -> Result<UserId, Problem> {
    id.parse().map_err(|_| Problem::not_found("user"))
}

impl UserPatch {
    async fn into_change(self, state: &State, caller: &Caller, user: &User) -> Result<UserChange, Problem> {
        let email = match self.email {
            Keep => None,
            Remove => Some(None),
            Set(Parsed(email)) => Some(Some(email)),
        };
        let hash = match self.password.set() {
            None => None,
            Some(Parsed(password)) => {
                let email = email.as_ref().unwrap_or(&user.email);
                let about = [user.username.as_str(), email.as_ref().map_or("", Email::as_str)];
                let hashed = state.passwords.hash_new(caller.address.into(), password.0, &about).await;
                Some(hashed.map_err(|error| not_hashed(error, "password"))?)
            }
        };
        let role = self.role.set().map(|Parsed(role)| role);
        Ok(UserChange { role, disabled: self.disabled.set(), email, hash, ..UserChange::default() })
    }
}

fn log_change(admin: &Admin, before: &User, after: &User, password: bool) {
    if before.role != after.role {
        let (user, by, by_session) = (after.id.as_str(), admin.user_id.as_str(), admin.session_id.as_str());
        log::info!(target: "audit", event = "role.changed", user = user, by = by, by_session = by_session, role:% = after.role; "role changed");
    }
    if before.disabled != after.disabled {
        let event = if after.disabled { "user.disabled" } else { "user.enabled" };
        log_by(admin, &after.id, event, "account switched");
    }
    if before.email != after.email {
        log_by(admin, &after.id, "email.changed", "address set");
    }
    if password {
        log_by(admin, &after.id, "password.changed", "password set");
    }
}

/// Writes an audit event about the account `user`, which `admin` changed.
pub(super) fn log_by(admin: &Admin, user: &str, event: &'static str, text: &'static str) {
    let (by, by_session) = (admin.user_id.as_str(), admin.session_id.as_str());
    log::info!(target: "audit", event = event, user = user, by = by, by_session = by_session; "{text}");
}
