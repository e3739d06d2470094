use actix_web::http::header::{HeaderValue, SET_COOKIE, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use secrecy::SecretString;
use shared_claims::ErrorCode::{
    Busy, InvalidCredentials, InvalidRefreshToken, MissingRefreshToken, OriginNotAllowed, TooManyFailures,
    TooManyRequests, Unavailable, ValidationFailed,
};
use shared_claims::{BearerAuth, Problem};
use shared_service::Caller;
use shared_service::clock::now_ms;
use shared_service::http::request::{Body, FormOrJson, MaybeBody};
use utoipa::ToSchema;

use super::audited::{end, log_refresh, refused};
use super::callers::RateLimited;
use super::cookie::RefreshCookie;
use super::oauth::{self, OAuthError, OAuthTokens, RefreshGrant};
use super::replies::{Message, Tokens};
use super::requests::{LoginRequest, TokenRequest};
use super::{State, login_refused};
use crate::counts::{LOGINS, LoginResult, REFRESHES, RefreshResult, count};
use crate::grants::{Login, TokenResponse};
use crate::sessions::{Label, Session};
use crate::users::canonical_login;

/// Open a session
///
/// An unknown user, a wrong password and a disabled account give one answer.
#[utoipa::path(post, path = "/login", operation_id = "logIn", request_body(content = LoginRequest, examples(
    ("john, an admin" = (value = json!({"username": "john", "password": "password123admin"}))),
    ("anna, a member" = (value = json!({"username": "anna", "password": "password123member"}))))),
    responses((status = 200, body = Tokens,
        description = "Two tokens; with `\"cookie\": true` the refresh token is in the cookie alone.",
        headers(("Cache-Control" = String, description = "`no-store`"),
            ("Set-Cookie" = String, description = "The refresh token, if it travels in a cookie.")))),
    extensions(("x-errors" = json!([TooManyRequests, TooManyFailures, InvalidCredentials, OriginNotAllowed, Unavailable,
        Busy]))))]
pub(super) async fn log_in(
    RateLimited(caller): RateLimited,
    state: Data<State>,
    request: HttpRequest,
    body: Body<LoginRequest>,
) -> Result<HttpResponse, Problem> {
    let read = body.read().and_then(|body| body.credentials(&state, &request));
    let (name, password, cookie) = read.inspect_err(|_| count(LOGINS, LoginResult::Refused))?;
    let login = Login { name, password, from: caller.address.into(), label: label(&request, &caller) };
    let granted = state.grants.log_in(&state.passwords, &state.limits, login).await;
    let granted = granted.map_err(|why| login_refused(why, "login.throttled"))?;
    let user_id = granted.user.id.as_str();
    log::info!(target: "audit", event = "login.ok", user = user_id, session:% = granted.session.id; "logged in");
    Ok(reply(&granted, cookie))
}

/// Get the next pair of tokens
///
/// A refresh token works once: the answer has the next one. Asked again within ten seconds it gives the same successor; later
/// that is a replay, and the session ends. A token that came in a cookie is answered in a cookie. A form is answered with the
/// names and the errors of RFC 6749.
#[utoipa::path(post, path = "/token", operation_id = "refreshTokens",
    request_body(content((TokenRequest = "application/json"), (RefreshGrant = "application/x-www-form-urlencoded"))),
    security((), ("refreshTokenCookie" = [])),
    responses((status = 200, description = "The next pair.", body = NextPair,
        headers(("Cache-Control" = String, description = "`no-store`"),
            ("Set-Cookie" = String, description = "The refresh token, if it travels in a cookie."))),
        (status = 400, description = "Of a form: `invalid_grant`, `invalid_request`, `invalid_scope` or \
            `unsupported_grant_type`.", body = OAuthError)),
    extensions(("x-errors" = json!([TooManyRequests, MissingRefreshToken, InvalidRefreshToken, OriginNotAllowed,
        Unavailable]))))]
pub(super) async fn refresh(
    _: RateLimited,
    state: Data<State>,
    request: HttpRequest,
    body: FormOrJson<RefreshGrant, TokenRequest>,
) -> Result<HttpResponse, Problem> {
    let body = match body {
        FormOrJson::Form(form) => return oauth::refresh(&state, &form).await,
        FormOrJson::Json(body) => body,
    };
    let presented = presented(&state, &request, body).inspect_err(|_| count(REFRESHES, RefreshResult::Refused))?;
    let (token, cookie) = presented.ok_or_else(|| {
        count(REFRESHES, RefreshResult::Missing);
        Problem::new(MissingRefreshToken)
    })?;
    // A refusal leaves the cookie unchanged: the browser may have a newer one by now, from a login in another tab.
    let granted = state.grants.refresh(&token, now_ms()).await.map_err(refused)?;
    log_refresh(&granted);
    Ok(reply(&granted, cookie))
}

/// End a session
///
/// Ends the session of the refresh token. Used and expired tokens are accepted too. Without a valid refresh token, the session
/// of the access token ends, from the `Authorization` header or from the body. The answer is the same where the session has
/// ended already (as RFC 7009 section 2.2 has it).
#[utoipa::path(post, path = "/logout", operation_id = "logOut", request_body = TokenRequest,
    security((), ("refreshTokenCookie" = []), ("accessToken" = [])),
    responses((status = 200, description = "It has ended.", body = Message,
        headers(("Set-Cookie" = String, description = "Takes the cookie away, if the token came in it.")))),
    extensions(("x-errors" = json!([MissingRefreshToken, OriginNotAllowed, Unavailable]))))]
pub(super) async fn log_out(
    state: Data<State>,
    request: HttpRequest,
    auth: Data<BearerAuth>,
    body: MaybeBody<TokenRequest>,
) -> Result<HttpResponse, Problem> {
    let refresh = presented(&state, &request, body)?;
    let access = auth.unverified_token(|name: &str| request.headers().get_all(name).map(HeaderValue::as_bytes));
    if refresh.is_none() && access.is_none() {
        return Err(Problem::new(MissingRefreshToken));
    }
    let (token, cookie) = refresh.unzip();
    end(&state, token.as_deref().into_iter().chain(access)).await?;
    let mut response = HttpResponse::Ok();
    if let Some(cookie) = cookie.flatten() {
        response.insert_header((SET_COOKIE, cookie.clear()));
    }
    Ok(response.json(Message { message: "Logout successful" }))
}

/// The body of a refresh that succeeded.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a schema alone")]
enum NextPair<'a> {
    /// After JSON.
    Json(Tokens<'a>),
    /// After a form.
    Form(OAuthTokens<'a>),
}

impl LoginRequest {
    /// The name or email, the password, and the permission for a cookie if the client wants one.
    fn credentials(
        self,
        state: &State,
        request: &HttpRequest,
    ) -> Result<(String, SecretString, Option<RefreshCookie>), Problem> {
        let (name, password) = match (self.username.or(self.email), self.password) {
            (Some(name), Some(password)) => (canonical_login(&name), password),
            (name, password) => {
                let name = name.is_none().then_some(("username", "is required, or email"));
                let password = password.is_none().then_some(("password", "is required"));
                let missing = name.into_iter().chain(password);
                return Err(
                    missing.fold(Problem::new(ValidationFailed), |problem, (field, why)| problem.error(field, why))
                );
            }
        };
        let cookie = (self.cookie == Some(true))
            .then(|| RefreshCookie::for_login(request, &state.allowed_origins))
            .transpose()?;
        Ok((name, password, cookie))
    }
}

impl TokenRequest {
    /// The refresh token, in the member `token` or `refreshToken` as different tutorials call it.
    fn token(self) -> Result<Option<String>, Problem> {
        let Self { token, refresh_token } = self;
        if token.is_some() && refresh_token.is_some() && token != refresh_token {
            let why = "is another token than token; send one";
            return Err(Problem::new(ValidationFailed).error("refreshToken", why));
        }
        Ok(token.or(refresh_token).filter(|token| !token.is_empty()))
    }
}

/// The description by which the user recognizes the session.
fn label(request: &HttpRequest, caller: &Caller) -> Label {
    let agent =
        request.headers().get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    let address = caller.address.map(|address| address.to_string()).unwrap_or_default();
    Label::new(&agent, &address)
}

/// The refresh token in the body, or else in the cookie, with the permission to replace the cookie.
fn presented(
    state: &State,
    request: &HttpRequest,
    body: MaybeBody<TokenRequest>,
) -> Result<Option<(String, Option<RefreshCookie>)>, Problem> {
    if let Some(token) = body.read()?.map_or(Ok(None), TokenRequest::token)? {
        return Ok(Some((token, None)));
    }
    let presented = RefreshCookie::from_request(request, &state.allowed_origins)?;
    Ok(presented.map(|(cookie, token)| (token, Some(cookie))))
}

/// The response with both tokens; the refresh token is either in the body or in a cookie.
fn reply(granted: &TokenResponse, cookie: Option<RefreshCookie>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(cookie) = cookie {
        // The lifetime of the token, by the store's clock.
        let Session { idle_ends_at, rotated_at, .. } = granted.session;
        response
            .insert_header((SET_COOKIE, cookie.set(&granted.pair.refresh_token, (idle_ends_at - rotated_at) / 1000)));
    }
    response.json(Tokens::of(&granted.pair, cookie.is_none()))
}
