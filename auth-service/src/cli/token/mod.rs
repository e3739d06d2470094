//! `token inspect` and `token verify`: what a token says, and why it is taken or not.

/// Every check of a token by itself.
mod checks;
/// The parts of a token, as far as they can be read.
mod parts;
/// What a token says, for a reader.
mod shown;
/// What the stores say of a token's session.
mod standing;
/// The verdict of the real verifier.
mod verdict;

use clap::Subcommand;
use shared_service::clock::now_ms;
use shared_service::operations::doctor::Report;

use self::parts::Parts;
use self::verdict::Verdict;
use super::{CliError, Console};
use crate::app;
use crate::config::{AUDIENCE, Config};

/// What can be asked about a token.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
      auth-service token inspect - <token                            what it says\n  \
      auth-service token verify - <token && echo good                whether it counts\n  \
      auth-service token verify - --audience books-service <token    whether it counts there")]
pub enum TokenCommand {
    /// Show what a token says: header, claims, times. Nothing is checked, no setting is needed
    Inspect {
        /// The token; - reads it from standard input, which keeps it out of the process list
        token: String,
    },
    /// Say why a token is taken or refused, check by check: exit code 0 if it is taken
    ///
    /// Access and refresh tokens, told apart by their typ. What counts is the last line, which is the services' own
    /// verifier's.
    Verify {
        /// The token; - reads it from standard input, which keeps it out of the process list
        token: String,
        /// The service that it is meant for
        #[arg(long, value_name = "NAME", default_value = AUDIENCE)]
        audience: String,
    },
}

/// Shows what `token` says. The signature is not among it.
///
/// # Errors
/// There is no token, or nobody reads what is shown.
pub fn inspect(token: &str, console: &mut Console) -> Result<(), CliError> {
    let token = given(token, console)?;
    let parts = Parts::of(&token);
    Ok(shown::lines(&parts, now_ms()).iter().try_for_each(|line| console.say(line))?)
}

/// Says of each check how `token` does.
///
/// # Errors
/// It is refused, or there is none.
pub async fn verify(token: &str, audience: &str, config: &Config, console: &mut Console) -> Result<(), CliError> {
    let token = given(token, console)?;
    let (parts, now_ms) = (Parts::of(&token), now_ms());
    let verdict = Verdict::of(&token, audience, config, now_ms)?;
    let mut report = Report::new(console.output());
    report.tell(checks::all(&parts, &token, audience, config, now_ms))?;
    let standing = match &verdict {
        Verdict::Refused(_) => None,
        proven => Some(standing::of(proven, app::look(&config.stores).await, &config.stores.rules, now_ms).await),
    };
    let refused = standing.as_ref().and_then(|standing| standing.refused);
    report.tell(standing.into_iter().flat_map(|standing| standing.findings))?;
    match (verdict, refused) {
        (Verdict::Refused(why), _) => Err(CliError::refused(format!("refused: {why}"))),
        (_, Some(why)) => Err(CliError::refused(format!("refused: {why}"))),
        (Verdict::Access(claims), None) if claims.known_role().is_none() => {
            Err(CliError::refused("refused: the token is good, but its role has no rights (403)"))
        }
        _ => Ok(console.say("accepted")?),
    }
}

/// The token that is meant, without the white space and the `Bearer` that are copied along.
fn given(token: &str, console: &mut Console) -> Result<String, CliError> {
    let text = if token == "-" { console.read_line()? } else { token.to_owned() };
    let text = text.trim();
    let token = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if token.is_empty() { Err(CliError::refused("no token: give it as one line")) } else { Ok(token.to_owned()) }
}
