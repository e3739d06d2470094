//! OAuth 2.0 endpoints for third-party clients: refresh by a form (RFC 6749 section 6) and revocation (RFC 7009).

use actix_web::http::header::PRAGMA;
use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use shared_claims::ErrorCode::{self, Unavailable};
use shared_claims::Problem;
use shared_service::clock::now_ms;
use shared_service::http::request::{Form, Violations};
use utoipa::ToSchema;

use super::State;
use super::audited::{end, log_refresh, refused};
use crate::counts::{REFRESHES, RefreshResult, count};

/// `POST /token` as a form (RFC 6749 section 6). `client_id` and other parameters are ignored: all clients are public.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"grant_type": "refresh_token", "refresh_token": "refreshToken of POST /login"}))]
pub(super) struct RefreshGrant {
    /// `refresh_token`, no other.
    #[schema(pattern = "^refresh_token$")]
    grant_type: String,
    /// The refresh token.
    #[schema(value_type = String)]
    refresh_token: Option<String>,
    /// Absent: tokens have no scope.
    #[schema(max_length = 0)]
    scope: Option<String>,
}

/// `POST /revoke` and `POST /introspect`. `token_type_hint` and other parameters are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"token": "a token of POST /login"}))]
pub(super) struct TokenForm {
    /// An access token or a refresh token.
    pub token: String,
}

/// Both tokens (RFC 6749 section 5.1).
#[derive(Serialize, ToSchema)]
pub(super) struct OAuthTokens<'a> {
    access_token: &'a str,
    /// `Bearer`
    token_type: &'static str,
    /// The access token's life in seconds.
    expires_in: u64,
    refresh_token: &'a str,
}

/// An error of OAuth 2.0 (RFC 6749 section 5.2); [`Problem::oauth`] writes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct OAuthError {
    /// For programs.
    error: String,
    /// For people.
    error_description: String,
}

/// Handles a `POST /token` with a form.
pub(super) async fn refresh(state: &State, form: &Form<RefreshGrant>) -> Result<HttpResponse, Problem> {
    let token = granted(form).inspect_err(|_| count(REFRESHES, RefreshResult::Refused))?;
    let granted = state.grants.refresh(&token, now_ms()).await.map_err(|why| {
        let problem = refused(why);
        let is_invalid = problem.code() == ErrorCode::InvalidRefreshToken.name();
        if is_invalid { Problem::oauth(400, "invalid_grant", ErrorCode::InvalidRefreshToken.detail()) } else { problem }
    })?;
    log_refresh(&granted);
    let (access_token, refresh_token) = (&*granted.pair.access_token, &*granted.pair.refresh_token);
    let expires_in = granted.pair.expires_in;
    let tokens = OAuthTokens { access_token, token_type: "Bearer", expires_in, refresh_token };
    Ok(HttpResponse::Ok().insert_header((PRAGMA, "no-cache")).json(tokens))
}

/// The refresh token of a request whose grant type and scope are supported.
fn granted(form: &Form<RefreshGrant>) -> Result<String, Problem> {
    let RefreshGrant { grant_type, refresh_token, scope } = form.read().map_err(|violations| invalid(&violations))?;
    if grant_type != "refresh_token" {
        let why = "grant_type must be refresh_token; POST /login opens a session";
        return Err(Problem::oauth(400, "unsupported_grant_type", why));
    }
    if scope.is_some() {
        return Err(Problem::oauth(400, "invalid_scope", "tokens here have no scope; leave it out"));
    }
    refresh_token.ok_or_else(|| Problem::oauth(400, "invalid_request", "refresh_token is required"))
}

/// The error for a form that lacks a parameter, or has it twice.
pub(super) fn invalid(violations: &Violations) -> Problem {
    Problem::oauth(400, "invalid_request", violations.to_string())
}

/// Revoke a token
///
/// As RFC 7009 has it: a refresh token, even a used or expired one, ends its session, and so does an access token. The
/// bearer of the token may revoke it, because clients are public. The response is the same for an invalid token.
#[utoipa::path(post, path = "/revoke", operation_id = "revokeToken", tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token is not valid any more."),
        (status = 400, description = "`invalid_request`: `token` is missing or given twice.", body = OAuthError)),
    extensions(("x-errors" = json!([Unavailable]))))]
pub(super) async fn revoke(state: Data<State>, form: Form<TokenForm>) -> Result<HttpResponse, Problem> {
    let TokenForm { token } = form.read().map_err(|violations| invalid(&violations))?;
    end(&state, [&*token]).await?;
    Ok(HttpResponse::Ok().finish())
}
