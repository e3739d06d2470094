use actix_web::HttpResponse;
use shared_claims::Problem;

use crate::counts::REFRESHES;
use crate::grants::Refused;

const INVALID_REFRESH_TOKEN: &str = "invalid_refresh_token";

/// 401: there is no refresh token.
pub(super) fn no_refresh_token() -> Problem {
    Problem::unauthorized(
        "missing_refresh_token",
        "This needs a refresh token, in the body ({\"token\": \"…\"}) or in the cookie.",
    )
}

/// What is said to whoever holds a refresh token that is worth nothing; logged and counted by the reason.
pub(super) fn refused(why: Refused) -> Problem {
    let (event, presented) = match why {
        Refused::Store(error) => return error.into(),
        Refused::Unproven(error) => {
            REFRESHES.count("unproven");
            log::info!(target: "audit", event = "refresh.unproven", reason:% = error; "refresh refused");
            return invalid_refresh_token();
        }
        Refused::Gone(presented) => ("refresh.gone", presented),
        Refused::Replayed(presented) => ("refresh.replayed", presented),
        Refused::NoUser(presented) => ("refresh.disabled", presented),
    };
    REFRESHES.count(event.trim_start_matches("refresh."));
    let (user, session) = (presented.user_id.as_str(), presented.session);
    log::warn!(target: "audit", event = event, user = user, session:% = session; "refresh refused");
    invalid_refresh_token()
}

/// One answer for a forged, expired, ended and replayed token: only the log knows which.
fn invalid_refresh_token() -> Problem {
    Problem::new(403, INVALID_REFRESH_TOKEN, "The refresh token is not valid any more. Log in again.")
}

/// Whether [`refused`] has counted it, which alone knows why.
pub(super) fn is_counted(done: &Result<HttpResponse, Problem>) -> bool {
    matches!(done, Err(problem) if problem.code() == INVALID_REFRESH_TOKEN)
}

/// What came of a login or a refresh, as it is counted.
pub(super) fn outcome(done: &Result<HttpResponse, Problem>) -> &'static str {
    match done.as_ref().map_err(Problem::code) {
        Ok(_) => "ok",
        Err("invalid_credentials") => "wrong",
        Err("too_many_failures") => "throttled",
        Err("missing_refresh_token") => "missing",
        Err(code @ ("busy" | "unavailable")) => code,
        Err("internal_error") => "failed",
        Err(_) => "refused",
    }
}
