//! `token inspect` and `token verify`: the claims of a token, and its validity.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use shared_claims::{AccessClaims, Claims, RefreshClaims, Revocations, TokenError, parse_object};
use shared_service::clock::{now_ms, rfc3339};
use shared_service::database::StoreError;
use shared_service::operations::doctor::{CheckResult, PATIENCE, Report, Status};

use super::console::printable;
use super::mint::MintArgs;
use super::{CliError, Console};
use crate::app;
use crate::config::{AUDIENCE, Config};
use crate::sessions::{SessionStore, all_revoked};
use crate::tokens::{Tokens, VerifiedRefreshToken};

/// The claims with times in seconds since 1970.
const TIMES: [&str; 4] = ["iat", "nbf", "exp", "auth_time"];

/// Commands about a token.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
      auth-service token inspect - <token                            what it says\n  \
      auth-service token verify - <token && echo good                whether it counts\n  \
      auth-service token verify - --audience books-service <token    whether it counts there\n  \
      TEST_TOKEN_SECRET=… auth-service token mint anna               a token for a test, without a login")]
pub enum TokenCommand {
    /// Show what a token says: header, claims, times. Nothing is checked, no setting is needed
    Inspect {
        /// The token; - reads it from standard input, which keeps it out of the process list
        token: String,
        /// Print header and claims as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a token, and if it is accepted or why it is refused: exit code 0 if it is accepted
    ///
    /// An access or a refresh token, by its typ. It is checked by the services' own verifier and against the stores:
    /// the session and its user must be alive.
    Verify {
        /// The token; - reads it from standard input, which keeps it out of the process list
        token: String,
        /// The service that is meant to accept it
        #[arg(long, value_name = "NAME", default_value = AUDIENCE)]
        audience: String,
        /// Print a JSON object a line: header and claims, the checks, the status
        #[arg(long)]
        json: bool,
    },
    /// Sign an access token for a test, without a login
    ///
    /// `TEST_TOKEN_SECRET` signs it, and nothing else does: the services under test have the same text as
    /// `ACCESS_TOKEN_SECRET`. Issuer, audience and lifetime are read from the settings.
    Mint(MintArgs),
}

/// The claims of a verified token.
enum VerifiedToken {
    Access(AccessClaims),
    Refresh(VerifiedRefreshToken),
}

/// Shows `token` without its signature.
pub(super) fn inspect(token: &str, json: bool, console: &mut Console) -> Result<(), CliError> {
    let token = given(token, console)?;
    show(&token, json, console, now_ms())?;
    let segments: Vec<&str> = token.split('.').collect();
    let is_token = segments.len() == 3 && segments[..2].iter().all(|segment| members(segment).is_some());
    if is_token { Ok(()) } else { Err(CliError::refused("this is not a token")) }
}

/// Shows `token`, and if it is accepted.
pub(super) async fn verify(
    token: &str,
    audience: &str,
    json: bool,
    config: &Config,
    console: &mut Console,
) -> Result<(), CliError> {
    let (token, now_ms) = (given(token, console)?, now_ms());
    show(&token, json, console, now_ms)?;
    let verified = verify_token(&token, audience, config, now_ms)?;
    let standing = match tokio::time::timeout(PATIENCE, standing(&verified, config, now_ms)).await {
        Ok(asked) => asked.unwrap_or_else(|error| vec![not_asked(&error.to_string())]),
        Err(_) => vec![not_asked("no answer within 2 s")],
    };
    Report::new(&mut console.output, json).print(standing.clone())?;
    let refused = |why: &str| Err(CliError::refused(format!("refused: {why}")));
    match (standing.iter().find(|finding| finding.status == Status::Fail), verified) {
        (Some(finding), _) => refused(&finding.message),
        (None, VerifiedToken::Access(claims)) if claims.known_role().is_none() => {
            refused("the token is good, but its role has no rights (403)")
        }
        _ if json => Ok(console.say(json!({"accepted": true}))?),
        _ => Ok(console.say(format!("accepted: {}", signed_with(&token)))?),
    }
}

/// A token with the `typ` of a refresh token is verified as one if the audience is auth-service.
fn verify_token(token: &str, audience: &str, config: &Config, now_ms: i64) -> Result<VerifiedToken, CliError> {
    let header = token.split('.').next().and_then(members).unwrap_or_default();
    let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default();
    let verified = if typ.trim_start_matches("application/") == RefreshClaims::TYP && audience == AUDIENCE {
        Tokens::new(config).map_err(CliError::refused)?.verify(token, now_ms).map(VerifiedToken::Refresh)
    } else {
        let verifier = config.access.verifier(audience).map_err(CliError::refused)?;
        verifier.verify(token, u64::try_from(now_ms / 1000).unwrap_or_default()).map(VerifiedToken::Access)
    };
    verified.map_err(|error| {
        let remedy = if error == TokenError::UnknownKey { "; `auth-service keys` lists the known ones" } else { "" };
        CliError::refused(format!("refused: {error}{remedy}"))
    })
}

/// The algorithm and the key that the header of an accepted token names.
fn signed_with(token: &str) -> String {
    let header = token.split('.').next().and_then(members).unwrap_or_default();
    let text = |name: &str| header.get(name).and_then(Value::as_str).map(printable);
    let kid = text("kid").map_or_else(String::new, |kid| format!(", kid {kid}"));
    format!("{}{kid}", text("alg").unwrap_or_default())
}

/// Checks the session and the user of a token in the stores.
async fn standing(verified: &VerifiedToken, config: &Config, now_ms: i64) -> Result<Vec<CheckResult>, StoreError> {
    let (users, sessions) = app::open_existing(&config.stores).await?;
    let (sub, sid) = match verified {
        VerifiedToken::Access(claims) => (claims.sub.as_str(), claims.sid.clone()),
        VerifiedToken::Refresh(presented) => (presented.user_id.as_str(), presented.session.to_string()),
    };
    let session = sessions.list(sub, None, usize::MAX).await?.into_iter().find(|session| session.id.to_string() == sid);
    let grace = i64::try_from(config.stores.rules.grace.as_millis()).unwrap_or(i64::MAX);
    let session = match (session, verified) {
        (None, _) => Err("the session has ended"),
        (Some(_), VerifiedToken::Access(claims)) if is_revoked(&*sessions, claims).await? => {
            Err("the token is revoked")
        }
        (Some(_), VerifiedToken::Access(_)) => Ok("is alive"),
        (Some(session), VerifiedToken::Refresh(presented)) => match session.generation - presented.generation {
            0 if !presented.may_be_of(&session) => Err("the token lives longer than allowed"),
            0 => Ok("is alive, and this is its newest token"),
            1 if now_ms - session.rotated_at <= grace => {
                Ok("is alive; the same successor follows, within REFRESH_GRACE")
            }
            _ => Err("the token was used before"),
        },
    };
    let user = match users.find(sub).await? {
        None => Err("the user is deleted".to_owned()),
        Some(user) if user.disabled => Err("the user is disabled".to_owned()),
        Some(user) => Ok(format!("{} is {}, enabled", user.username, user.role)),
    };
    let session = session.map_or_else(|why| CheckResult::fail("session", why), |says| CheckResult::ok("session", says));
    Ok(vec![session, user.map_or_else(|why| CheckResult::fail("user", why), |says| CheckResult::ok("user", says))])
}

/// A store that does not respond is a warning, not a refusal.
fn not_asked(why: &str) -> CheckResult {
    CheckResult::warn("session", format!("not asked whether it has ended: {why}"))
}

/// Looks the token up in the whole revocation list.
async fn is_revoked(sessions: &dyn SessionStore, claims: &AccessClaims) -> Result<bool, StoreError> {
    let known = Revocations::new(None);
    known.add(&all_revoked(sessions).await?, 0);
    Ok(known.is_revoked(&claims.sid, &claims.sub, claims.iat))
}

/// The token, without white space and a copied `Bearer`.
fn given(token: &str, console: &mut Console) -> Result<String, CliError> {
    let text = if token == "-" { console.read_line()? } else { token.to_owned() };
    let text = text.trim();
    let token = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if token.is_empty() { Err(CliError::refused("no token: give it as one line")) } else { Ok(token.to_owned()) }
}

/// Shows header and claims: one member per line with readable times, or one JSON object.
fn show(token: &str, json: bool, console: &mut Console, now_ms: i64) -> io::Result<()> {
    if json {
        let mut segments = token.split('.').map(members);
        return console.say(json!({"header": segments.next().flatten(), "claims": segments.next().flatten()}));
    }
    let segments: Vec<&str> = token.split('.').collect();
    for (name, segment) in ["header", "claims"].iter().zip(segments.iter().copied().chain(["", ""])) {
        console.say(name)?;
        let Some(members) = members(segment) else {
            console.say("  not base64url of a JSON object with unique names, or not there")?;
            continue;
        };
        let width = members.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        for (name, value) in &members {
            let when = Some(value).filter(|_| TIMES.contains(&name.as_str())).and_then(Value::as_i64);
            let when = when.map_or_else(String::new, |seconds| format!("  {}", moment(seconds, now_ms)));
            console.say(format!("  {:width$}  {}{when}", printable(name), printable(&value.to_string())))?;
        }
    }
    match segments[..] {
        [_, _, signature] => console.say(match URL_SAFE_NO_PAD.decode(signature) {
            Ok(bytes) => format!("signature\n  {} bytes, not shown", bytes.len()),
            Err(_) => "signature\n  not base64url".to_owned(),
        }),
        _ => console
            .say(format!("not a token: it has {} segments with points between them, and must have 3", segments.len())),
    }
}

/// The JSON object in a segment.
fn members(segment: &str) -> Option<Map<String, Value>> {
    parse_object(&URL_SAFE_NO_PAD.decode(segment).ok()?)
}

/// `2026-01-31T12:00:00Z, 14 min ago`, in the largest unit that is full.
fn moment(seconds: i64, now_ms: i64) -> String {
    let text = rfc3339(seconds.saturating_mul(1000)).replace(".000Z", "Z");
    let away = seconds.saturating_sub(now_ms / 1000);
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let (size, unit) = units.into_iter().find(|(size, _)| away.unsigned_abs() >= *size).unwrap_or((1, "s"));
    let span = away.unsigned_abs() / size;
    if away < 0 { format!("{text}, {span} {unit} ago") } else { format!("{text}, in {span} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_with_its_distance_to_now() {
        let now_ms = 1_769_860_800_250;
        for (seconds, expected) in [
            (1_769_860_800, "2026-01-31T12:00:00Z, in 0 s"),
            (1_769_860_859, "2026-01-31T12:00:59Z, in 59 s"),
            (1_769_861_701, "2026-01-31T12:15:01Z, in 15 min"),
            (1_769_853_600, "2026-01-31T10:00:00Z, 2 h ago"),
            (1_769_256_000, "2026-01-24T12:00:00Z, 7 d ago"),
        ] {
            assert_eq!(moment(seconds, now_ms), expected);
        }
        assert!(moment(i64::MAX, now_ms).starts_with("1970"), "beyond what can be written");
    }
}
