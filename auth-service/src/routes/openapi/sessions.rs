use serde_json::json;
use shared_service::http::openapi::shapes::{added, of};
use shared_service::http::openapi::{ACCESS_TOKEN, Answer, Call, Code, UNAVAILABLE};
use utoipa::openapi::path::HttpMethod::Post;

use super::{BUSY, COOKIE, EMAIL_TAKEN, USERNAME_TAKEN, counted, guessed, schemas};

const LOGIN_NOTE: &str = "An unknown user, a wrong password and a disabled account give one answer.";

const REFRESH_NOTE: &str = "A refresh token works once: the answer has the next one. Asked again within ten seconds it \
    gives the same successor; later that is a replay, and the session ends. A token that came in a cookie is answered in a \
    cookie.";

const LOGOUT_NOTE: &str = "Ends the session of the refresh token. Used and expired tokens are accepted too. Without a valid \
    refresh token, the session of the access token ends, from the `Authorization` header or from the body. The answer is the \
    same where the session has ended already.";

const NO_REFRESH_TOKEN: Code =
    Code::new(401, "missing_refresh_token", "This needs a refresh token, in the body or in the cookie.");
const BAD_REFRESH_TOKEN: Code =
    Code::new(403, "invalid_refresh_token", "The refresh token is not valid any more. Log in again.");
const FOREIGN_ORIGIN: Code =
    Code::new(403, "origin_not_allowed", "The cookie is for pages of ALLOWED_ORIGINS and of this host alone.");

pub(super) fn calls() -> [Call; 5] {
    [
        register(),
        log_in(),
        refresh("/token", "refreshTokens"),
        refresh("/refresh", "refreshTokensToo").note("The same as `POST /token`."),
        log_out(),
    ]
}

fn register() -> Call {
    counted(Call::new(Post, "/register", "register", "Become a member"))
        .body(
            schemas::newcomer(),
            [("somebody new", json!({"username": "grace", "password": "seven quiet owls read maps"}))],
        )
        .answers(Answer::new("201", "Welcome.").header("Location", "`/me`").json(added("user", "Profile")))
        .refuses(&[USERNAME_TAKEN, EMAIL_TAKEN, BUSY])
}

fn log_in() -> Call {
    let examples = [
        ("john, an admin", json!({"username": "john", "password": "password123admin"})),
        ("anna, a member", json!({"username": "anna", "password": "password123member"})),
    ];
    guessed(Call::new(Post, "/login", "logIn", "Open a session"))
        .note(LOGIN_NOTE)
        .body(schemas::credentials(), examples)
        .answers(tokens("Two tokens; with `\"cookie\": true` the refresh token is in the cookie alone."))
        .refuses(&[FOREIGN_ORIGIN])
}

fn refresh(path: &'static str, id: &str) -> Call {
    counted(Call::new(Post, path, id, "Get the next pair of tokens"))
        .note(REFRESH_NOTE)
        .perhaps(&[COOKIE])
        .optional_body(schemas::refresh_token(), [("a refresh token", json!({"token": "refreshToken of POST /login"}))])
        .answers(tokens("The next pair."))
        .refuses(&[NO_REFRESH_TOKEN, BAD_REFRESH_TOKEN, FOREIGN_ORIGIN])
}

fn log_out() -> Call {
    Call::new(Post, "/logout", "logOut", "End a session")
        .note(LOGOUT_NOTE)
        .perhaps(&[COOKIE, ACCESS_TOKEN])
        .optional_body(schemas::refresh_token(), [("a refresh token", json!({"token": "refreshToken of POST /login"}))])
        .answers(
            Answer::new("200", "It has ended.")
                .header("Set-Cookie", "Takes the cookie away, if the token came in it.")
                .json(schemas::message()),
        )
        .refuses(&[NO_REFRESH_TOKEN, FOREIGN_ORIGIN, UNAVAILABLE])
}

fn tokens(about: &str) -> Answer {
    Answer::new("200", about)
        .header("Cache-Control", "`no-store`")
        .header("Set-Cookie", "The refresh token, if it travels in a cookie.")
        .json(of("Tokens"))
}
