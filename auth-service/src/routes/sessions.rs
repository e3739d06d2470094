use actix_web::http::header::{CACHE_CONTROL, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde_json::json;
use shared_claims::{Problem, TokenError};
use shared_http::clock::now_ms;
use shared_http::{Body, Fields, MaybeBody};

use super::replies::Tokens;
use super::{State, invalid_credentials};
use crate::passwords::Verdict;
use crate::sessions::{Advance, Label, NewSession, Session};
use crate::tokens::Pair;
use crate::users::{Account, User};

/// `POST /login`: a name or an email and a password open a session.
pub(super) async fn log_in(
    state: Data<State>,
    request: HttpRequest,
    Body(mut fields): Body,
) -> Result<HttpResponse, Problem> {
    let credentials = Credentials::take(&mut fields);
    fields.finish()?;
    let account = credentials.prove(&state).await?;
    let user_id = account.user.id.clone();
    let session = state.sessions.open(NewSession { user_id, label: label(&request) }).await?;
    let user = still_there(&state, account, &session).await?;
    log::info!(target: "audit", event = "login.ok", user = user.id.as_str(), session:% = session.id; "logged in");
    Ok(reply(&state.tokens.issue(&user, &session, now_ms())))
}

/// `POST /token`, `POST /refresh`: a refresh token is answered with the next pair. The order is the security argument:
/// nothing that is not proven reaches the store, one atomic step decides, and what the user may do is read again.
pub(super) async fn refresh(state: Data<State>, MaybeBody(fields): MaybeBody) -> Result<HttpResponse, Problem> {
    let token = refresh_token(fields)?.ok_or_else(no_refresh_token)?;
    let presented = state.tokens.prove(&token, now_ms()).map_err(|error| unproven(&error))?;
    let session = match state.sessions.advance(&presented.user_id, presented.session, presented.generation).await? {
        Advance::Advanced(session) | Advance::Repeated(session) => session,
        Advance::Gone => return Err(refused("refresh.gone", &presented.user_id, &presented.session.to_string())),
        Advance::Replayed => {
            return Err(refused("refresh.replayed", &presented.user_id, &presented.session.to_string()));
        }
    };
    let Some(user) = state.users.find(&session.user_id).await?.filter(|user| !user.disabled) else {
        state.sessions.end(&session.user_id, session.id).await?;
        return Err(refused("refresh.disabled", &session.user_id, &session.id.to_string()));
    };
    log::info!(target: "audit", event = "refresh.ok", user = user.id.as_str(), session:% = session.id; "refreshed");
    Ok(reply(&state.tokens.issue(&user, &session, now_ms())))
}

/// `POST /logout`: ends the session of any refresh token that was ever ours, and is glad if there is none.
pub(super) async fn log_out(state: Data<State>, MaybeBody(fields): MaybeBody) -> Result<HttpResponse, Problem> {
    let token = refresh_token(fields)?.unwrap_or_default();
    if let Ok(presented) = state.tokens.prove_for_logout(&token, now_ms())
        && state.sessions.end(&presented.user_id, presented.session).await?
    {
        log::info!(target: "audit", event = "logout", user = presented.user_id.as_str(), session:% = presented.session; "logged out");
    }
    Ok(HttpResponse::Ok().json(json!({"message": "Logout successful"})))
}

struct Credentials {
    login: String,
    password: String,
}

impl Credentials {
    fn take(fields: &mut Fields) -> Self {
        let username = fields.optional_text("username", |_| Ok(()));
        let email = fields.optional_text("email", |_| Ok(()));
        if username.is_none() && email.is_none() {
            fields.wrong("username", "is required, or email");
        }
        let login = username.or(email).unwrap_or_default();
        Self { login, password: fields.text("password", |_| Ok(())) }
    }

    /// Whose they are. An unknown name, a wrong password and a disabled account take the same time and give one answer.
    async fn prove(self, state: &State) -> Result<Account, Problem> {
        loop {
            let Some(account) = state.users.account_by_login(&self.login).await? else {
                state.passwords.verify_nobody(self.password).await?;
                return Err(failed("unknown"));
            };
            let verdict = state.passwords.verify(self.password.as_str(), &account.hash).await?;
            if matches!(verdict, Verdict::Wrong) || account.user.disabled {
                return Err(failed(&account.user.id));
            }
            let Verdict::RightButRewrite(hash) = verdict else { return Ok(account) };
            if state.users.replace_hash(&account.user.id, &account.hash, &hash).await? {
                return Ok(Account { hash, ..account });
            }
            // Somebody was faster, perhaps the same person on another device: what stands there now is what counts.
        }
    }
}

/// Reads the account once more now that its session exists. Whoever changed the password, disabled or deleted the account
/// since it was read has ended all sessions but not this one, which was not there yet.
async fn still_there(state: &State, proven: Account, session: &Session) -> Result<User, Problem> {
    let now = state.users.account(&proven.user.id).await?;
    if let Some(now) = now.filter(|now| !now.user.disabled && now.hash.as_stored() == proven.hash.as_stored()) {
        return Ok(now.user);
    }
    state.sessions.end(&proven.user.id, session.id).await?;
    Err(failed(&proven.user.id))
}

/// What the owner will recognise the session by.
fn label(request: &HttpRequest) -> Label {
    let agent =
        request.headers().get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    let address = request.peer_addr().map(|address| address.ip().to_canonical().to_string()).unwrap_or_default();
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

fn reply(pair: &Pair) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Tokens::from(pair))
}

fn failed(user: &str) -> Problem {
    log::info!(target: "audit", event = "login.failed", user = user; "login failed");
    invalid_credentials()
}

fn no_refresh_token() -> Problem {
    Problem::unauthorized("missing_refresh_token", "This needs a refresh token in the body: {\"token\": \"…\"}.")
}

fn unproven(error: &TokenError) -> Problem {
    log::info!(target: "audit", event = "refresh.unproven", reason:% = error; "refresh refused");
    invalid_refresh_token()
}

fn refused(event: &'static str, user: &str, session: &str) -> Problem {
    log::warn!(target: "audit", event = event, user = user, session = session; "refresh refused");
    invalid_refresh_token()
}

/// One answer for a forged, expired, ended and replayed token: only the log knows which.
fn invalid_refresh_token() -> Problem {
    Problem::new(403, "invalid_refresh_token", "The refresh token is not valid any more. Log in again.")
}
