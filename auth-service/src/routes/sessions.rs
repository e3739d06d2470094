use actix_web::http::header::{AUTHORIZATION, HeaderValue, SET_COOKIE, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde_json::json;
use shared_claims::{Guard, Problem};
use shared_service::clock::now_ms;
use shared_service::{Body, Caller, Fields, MaybeBody};

use super::admitted::Admitted;
use super::cookie::Jar;
use super::outcomes::{is_counted, no_refresh_token, outcome, refused};
use super::replies::Tokens;
use super::{State, login_refused};
use crate::counts::{LOGINS, REFRESHES};
use crate::grants::{Granted, Login};
use crate::sessions::{Label, Session};
use crate::users::canonical_login;

/// `POST /login`: a name or an email and a password open a session.
pub(super) async fn log_in(
    Admitted(caller): Admitted,
    state: Data<State>,
    request: HttpRequest,
    Body(fields): Body,
) -> Result<HttpResponse, Problem> {
    let done = open(&caller, &state, &request, fields).await;
    LOGINS.count(outcome(&done));
    done
}

async fn open(
    caller: &Caller,
    state: &State,
    request: &HttpRequest,
    mut fields: Fields,
) -> Result<HttpResponse, Problem> {
    let (name, password) = credentials(&mut fields);
    let cookie = fields.optional_flag("cookie").unwrap_or_default();
    fields.finish()?;
    let jar = if cookie { Some(Jar::to_fill(request, &state.allowed_origins)?) } else { None };
    let login = Login { name, password: password.into(), from: caller.address.into(), label: label(request, caller) };
    let granted = state.grants.log_in(&state.passwords, &state.limits, login).await;
    let granted = granted.map_err(|why| login_refused(why, "login.throttled"))?;
    let user_id = granted.user.id.as_str();
    log::info!(target: "audit", event = "login.ok", user = user_id, session:% = granted.session.id; "logged in");
    Ok(reply(&granted, jar))
}

/// `POST /token`, `POST /refresh`: a refresh token is answered with the next pair, in the way that it came.
pub(super) async fn refresh(
    _: Admitted,
    state: Data<State>,
    request: HttpRequest,
    MaybeBody(fields): MaybeBody,
) -> Result<HttpResponse, Problem> {
    let done = go_on(&state, &request, fields).await;
    if !is_counted(&done) {
        REFRESHES.count(outcome(&done));
    }
    done
}

async fn go_on(state: &State, request: &HttpRequest, fields: Option<Fields>) -> Result<HttpResponse, Problem> {
    let (token, jar) = presented(state, request, fields)?.ok_or_else(no_refresh_token)?;
    // A refusal leaves the cookie alone: by now the browser may have another one, from a login in the next tab.
    let granted = state.grants.refresh(&token, now_ms()).await.map_err(refused)?;
    let (user, session) = (granted.user.id.as_str(), granted.session.id);
    log::info!(target: "audit", event = "refresh.ok", user = user, session:% = session; "refreshed");
    Ok(reply(&granted, jar))
}

/// `POST /logout`: ends the session of the refresh token, or of the access token where no refresh token of ours is given.
/// The answer does not say whether the session was alive (as RFC 7009 section 2.2), but a request without a token is 401.
pub(super) async fn log_out(
    state: Data<State>,
    request: HttpRequest,
    guard: Data<Guard>,
    MaybeBody(fields): MaybeBody,
) -> Result<HttpResponse, Problem> {
    let refresh = presented(&state, &request, fields)?;
    let access = access_token(&request, &guard);
    if refresh.is_none() && access.is_none() {
        return Err(no_refresh_token());
    }
    let (token, jar) = refresh.unzip();
    if let Some((user, session)) = state.grants.end(token.as_deref().into_iter().chain(access), now_ms()).await? {
        let user = user.as_str();
        log::info!(target: "audit", event = "logout", user = user, session:% = session; "logged out");
    }
    let mut response = HttpResponse::Ok();
    if let Some(jar) = jar.flatten() {
        response.insert_header((SET_COOKIE, jar.clear()));
    }
    Ok(response.json(json!({"message": "Logout successful"})))
}

/// The name or the email of a login, and the password.
fn credentials(fields: &mut Fields) -> (String, String) {
    let username = fields.optional_text("username", |_| Ok(()));
    let email = fields.optional_text("email", |_| Ok(()));
    if username.is_none() && email.is_none() {
        fields.wrong("username", "is required, or email");
    }
    let name = canonical_login(&username.or(email).unwrap_or_default());
    (name, fields.text("password", |_| Ok(())))
}

/// What the owner will recognise the session by.
fn label(request: &HttpRequest, caller: &Caller) -> Label {
    let agent =
        request.headers().get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    let address = caller.address.map(|address| address.to_string()).unwrap_or_default();
    Label::new(&agent, &address)
}

/// The refresh token of a body: `token`, as one tutorial calls it, or `refreshToken`, as another does.
fn refresh_token(fields: Option<Fields>) -> Result<Option<String>, Problem> {
    let Some(mut fields) = fields else { return Ok(None) };
    let token = fields.optional_text("token", |_| Ok(()));
    let refresh_token = fields.optional_text("refreshToken", |_| Ok(()));
    if token.is_some() && refresh_token.is_some() && token != refresh_token {
        fields.wrong("refreshToken", "is another token than token; send one");
    }
    fields.finish()?;
    Ok(token.or(refresh_token).filter(|token| !token.is_empty()))
}

/// The access token in the request's headers, not verified.
fn access_token<'r>(request: &'r HttpRequest, guard: &'r Guard) -> Option<&'r str> {
    let values = |name: &str| request.headers().get_all(name).map(HeaderValue::as_bytes);
    Guard::presented(values(AUTHORIZATION.as_str()), guard.extra_header().into_iter().flat_map(values))
}

/// The refresh token of a request and, where it is in none's body, the jar that it came from.
fn presented(
    state: &State,
    request: &HttpRequest,
    fields: Option<Fields>,
) -> Result<Option<(String, Option<Jar>)>, Problem> {
    if let Some(token) = refresh_token(fields)? {
        return Ok(Some((token, None)));
    }
    let presented = Jar::presented(request, &state.allowed_origins)?;
    Ok(presented.map(|(jar, token)| (token, Some(jar))))
}

/// Both tokens; the refresh token in a cookie where there is a jar, and then nowhere else.
fn reply(granted: &Granted, jar: Option<Jar>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(jar) = jar {
        // As long as the token lives, by the store's clock.
        let Session { idle_ends_at, advanced_at, .. } = granted.session;
        response
            .insert_header((SET_COOKIE, jar.keep(&granted.pair.refresh_token, (idle_ends_at - advanced_at) / 1000)));
    }
    response.json(Tokens::of(&granted.pair, jar.is_none()))
}
