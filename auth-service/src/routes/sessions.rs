use actix_web::http::header::{AUTHORIZATION, HeaderValue, SET_COOKIE, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde_json::json;
use shared_claims::{Guard, Problem};
use shared_service::clock::now_ms;
use shared_service::{Body, Caller, Fields, MaybeBody};

use super::admitted::Admitted;
use super::cookie::Jar;
use super::replies::Tokens;
use super::{State, login_refused};
use crate::counts::{LoginResult, RefreshResult};
use crate::grants::{Granted, Login, Refused};
use crate::sessions::{Label, Session};
use crate::users::canonical_login;

/// `POST /login`: a name or an email and a password open a session.
pub(super) async fn log_in(
    Admitted(caller): Admitted,
    state: Data<State>,
    request: HttpRequest,
    Body(fields): Body,
) -> Result<HttpResponse, Problem> {
    let read = credentials(fields, &state, &request);
    let ((name, password), jar) = read.inspect_err(|_| LoginResult::Refused.count())?;
    let label = label(&request, &caller);
    let login = Login { name, password: password.into(), from: caller.address.into(), label };
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
    let presented = presented(&state, &request, fields).inspect_err(|_| RefreshResult::Refused.count())?;
    let (token, jar) = presented.ok_or_else(|| {
        RefreshResult::Missing.count();
        no_refresh_token()
    })?;
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

/// The name or the email of a login with the password, and the jar for its cookie if it wants one.
fn credentials(
    mut fields: Fields,
    state: &State,
    request: &HttpRequest,
) -> Result<((String, String), Option<Jar>), Problem> {
    let username = fields.optional_text("username", |_| Ok(()));
    let email = fields.optional_text("email", |_| Ok(()));
    if username.is_none() && email.is_none() {
        fields.wrong("username", "is required, or email");
    }
    let name = canonical_login(&username.or(email).unwrap_or_default());
    let password = fields.text("password", |_| Ok(()));
    let cookie = fields.optional_flag("cookie").unwrap_or_default();
    fields.finish()?;
    let jar = cookie.then(|| Jar::to_fill(request, &state.allowed_origins)).transpose()?;
    Ok(((name, password), jar))
}

/// 401: there is no refresh token.
fn no_refresh_token() -> Problem {
    Problem::unauthorized(
        "missing_refresh_token",
        "This needs a refresh token, in the body ({\"token\": \"…\"}) or in the cookie.",
    )
}

/// One answer for a forged, expired, ended and replayed token: only the log has the reason.
fn refused(why: Refused) -> Problem {
    let (event, presented) = match why {
        Refused::Store(error) => return error.into(),
        Refused::Unproven(error) => {
            log::info!(target: "audit", event = "refresh.unproven", reason:% = error; "refresh refused");
            return invalid_refresh_token();
        }
        Refused::Gone(presented) => ("refresh.gone", presented),
        Refused::Replayed(presented) => ("refresh.replayed", presented),
        Refused::NoUser(presented) => ("refresh.disabled", presented),
    };
    let (user, session) = (presented.user_id.as_str(), presented.session);
    log::warn!(target: "audit", event = event, user = user, session:% = session; "refresh refused");
    invalid_refresh_token()
}

fn invalid_refresh_token() -> Problem {
    Problem::new(403, "invalid_refresh_token", "The refresh token is not valid any more. Log in again.")
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
