use actix_web::http::header::{LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web::Data, web::Path};
use shared_claims::{Admin, Problem, Role};
use shared_service::{Body, Caller, Fields, Query, link_next};
use uuid::Uuid;

use super::current::CurrentAdmin;
use super::registration::Newcomer;
use super::replies::{Added, Record};
use super::{State, email_taken, last_admin, no_admin, not_hashed};
use crate::endings::complete_of;
use crate::users::{By, Changed, Deleted, Email, InvalidUserId, User, UserChange, UserId};

/// The most people that one answer holds.
pub(super) const PAGE: i64 = 1000;

/// `GET /users`.
pub(super) async fn list(
    _: CurrentAdmin,
    state: Data<State>,
    request: HttpRequest,
    Query(mut params): Query,
) -> Result<HttpResponse, Problem> {
    let limit = params.optional_integer("limit", 1..=PAGE).unwrap_or(PAGE);
    let q = params.optional_text("q", |_| Ok(()));
    let cursor = params.optional_text("cursor", |cursor| match Uuid::try_parse(cursor) {
        Ok(id) if id.to_string() == cursor => Ok(()),
        _ => Err("must be one that a page gave in its Link".to_owned()),
    });
    params.finish()?;
    let page = state.users.page(limit, cursor.as_deref(), q.as_deref()).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header(("X-Total-Count", page.total.to_string()));
    if let Some(next) = &page.next {
        response.insert_header((LINK, link_next("/users", request.query_string(), next)));
    }
    Ok(response.json(page.items.iter().map(Record::from).collect::<Vec<_>>()))
}

/// `GET /users/{id}`.
pub(super) async fn read(_: CurrentAdmin, state: Data<State>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let user = state.users.find(&user_id(&id)?).await?.ok_or_else(|| Problem::not_found("user"))?;
    Ok(HttpResponse::Ok().json(Record::from(&user)))
}

/// `POST /users`: as registering, with a role.
pub(super) async fn add(
    CurrentAdmin(admin): CurrentAdmin,
    caller: Caller,
    state: Data<State>,
    Body(mut fields): Body,
) -> Result<HttpResponse, Problem> {
    let role = fields.optional_parsed("role", str::parse::<Role>);
    let newcomer = Newcomer::read(fields)?;
    let user = newcomer.create(&state, &caller, role.unwrap_or(Role::Member), Some(By::Admin(&admin.user_id))).await?;
    log::info!(target: "audit", event = "user.added", user = user.id.as_str(), by = admin.user_id.as_str(), by_session = admin.session_id.as_str(); "added");
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/users/{}", user.id)))
        .json(Added { message: "User added successfully", user: Record::from(&user) }))
}

/// `PATCH /users/{id}`: role, disabled, email, password; what is not named stays.
pub(super) async fn change(
    CurrentAdmin(admin): CurrentAdmin,
    caller: Caller,
    state: Data<State>,
    id: Path<String>,
    Body(fields): Body,
) -> Result<HttpResponse, Problem> {
    let wish = Wish::take(fields)?;
    let id = user_id(&id)?;
    let before = state.users.find(&id).await?.ok_or_else(|| Problem::not_found("user"))?;
    let change = wish.into_change(&state, &caller, &before).await?;
    if change.ends_sessions() || change.outdates_tokens() {
        // While sessions cannot be ended, nobody is half dismissed.
        state.sessions.ping().await?;
    }
    let changed = state.users.change_by(By::Admin(&admin.user_id), &id, &change).await?.ok_or_else(no_admin)?;
    let (before, after) = match changed {
        Changed::Done { before, after } => (before, after),
        Changed::NotFound => return Err(Problem::not_found("user")),
        Changed::LastAdmin => return Err(last_admin()),
        Changed::EmailTaken => return Err(email_taken()),
    };
    log_change(&admin, &before, &after, change.hash.is_some());
    complete_of(&state.users, &*state.sessions, &id).await?;
    Ok(HttpResponse::Ok().json(Record::from(&after)))
}

/// `DELETE /users/{id}`: with all sessions.
pub(super) async fn delete(
    CurrentAdmin(admin): CurrentAdmin,
    state: Data<State>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.sessions.ping().await?;
    let id = user_id(&id)?;
    let deleted = state.users.delete_by(By::Admin(&admin.user_id), &id).await?.ok_or_else(no_admin)?;
    match deleted {
        Deleted::LastAdmin => return Err(last_admin()),
        Deleted::NotFound => {}
        Deleted::Done(_) => {
            log::info!(target: "audit", event = "user.deleted", user = id.as_str(), by = admin.user_id.as_str(), by_session = admin.session_id.as_str(); "deleted");
        }
    }
    // Also of somebody who is gone: an earlier try may have got no further.
    complete_of(&state.users, &*state.sessions, &id).await?;
    if matches!(deleted, Deleted::NotFound) {
        return Err(Problem::not_found("user"));
    }
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /users/{id}/sessions`: signs somebody out everywhere.
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
    log::info!(target: "audit", event = "session.all_ended", user = user.id.as_str(), by = admin.user_id.as_str(), by_session = admin.session_id.as_str(); "signed out everywhere");
    Ok(HttpResponse::NoContent().finish())
}

/// The id in a path; a text of another form is the id of no user.
fn user_id(id: &str) -> Result<UserId, Problem> {
    id.parse().map_err(|InvalidUserId| Problem::not_found("user"))
}

/// What an admin wants to be different about somebody.
struct Wish {
    role: Option<Role>,
    disabled: Option<bool>,
    #[expect(clippy::option_option, reason = "absent, null and a text are three wishes")]
    email: Option<Option<Email>>,
    password: Option<String>,
}

impl Wish {
    fn take(mut fields: Fields) -> Result<Self, Problem> {
        let wish = Self {
            role: fields.optional_parsed("role", str::parse::<Role>),
            disabled: fields.optional_flag("disabled"),
            email: if fields.is_null("email") {
                Some(None)
            } else {
                fields.optional_parsed("email", Email::parse).map(Some)
            },
            password: fields.optional_text("password", |text| {
                crate::passwords::check_length(text).map_err(|weak| weak.to_string())
            }),
        };
        if !["role", "disabled", "email", "password"].iter().any(|name| fields.has(name)) {
            fields.wrong("role", "or disabled, email or password must be given");
        }
        fields.finish()?;
        Ok(wish)
    }

    async fn into_change(self, state: &State, caller: &Caller, user: &User) -> Result<UserChange, Problem> {
        let hash = match self.password {
            None => None,
            Some(password) => {
                let email = self.email.as_ref().unwrap_or(&user.email);
                let about = [user.username.as_str(), email.as_ref().map_or("", Email::as_str)];
                let hashed = state.passwords.hash_new(caller.address.into(), password, &about).await;
                Some(hashed.map_err(|error| not_hashed(error, "password"))?)
            }
        };
        let Self { role, disabled, email, .. } = self;
        Ok(UserChange { role, disabled, email, hash, ..UserChange::default() })
    }
}

fn log_change(admin: &Admin, before: &User, after: &User, password: bool) {
    let (user, by, by_session) = (after.id.as_str(), admin.user_id.as_str(), admin.session_id.as_str());
    if before.role != after.role {
        log::info!(target: "audit", event = "role.changed", user = user, by = by, by_session = by_session, role:% = after.role; "role changed");
    }
    if before.disabled != after.disabled {
        let event = if after.disabled { "user.disabled" } else { "user.enabled" };
        log::info!(target: "audit", event = event, user = user, by = by, by_session = by_session; "account switched");
    }
    if password {
        log::info!(target: "audit", event = "password.changed", user = user, by = by, by_session = by_session; "password set");
    }
}
