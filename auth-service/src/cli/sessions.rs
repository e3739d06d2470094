use clap::Subcommand;
use serde_json::{Value, json};
use shared_service::clock::rfc3339;

use super::console::printable;
use super::users::Named;
use super::{CliError, Console, counted, find};
use crate::sessions::{Session, SessionId, SessionStore};
use crate::users::{User, Users};

const TITLE: [&str; 6] = ["ID", "OPENED", "USED", "ENDS", "ADDRESS", "DEVICE"];

/// Commands about sessions. Names are user names, emails or user ids.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
      auth-service sessions list anna                 where anna is signed in\n  \
      auth-service sessions revoke-all anna           sign her out everywhere; the account stays\n\n\
    An issued access token is valid until its exp, unless services poll the revocation list.")]
pub enum SessionsCommand {
    /// Show the sessions of a user
    List {
        /// The user.
        #[command(flatten)]
        user: Named,
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// End one session: exit code 1 where it was not alive
    Revoke {
        /// The id, as `sessions list` or the claim sid says
        id: String,
        /// The user name, email or id of its user
        name: String,
    },
    /// End all sessions of a user
    RevokeAll(Named),
}

/// Runs a command about sessions.
pub(super) async fn run_sessions(
    command: SessionsCommand,
    users: &Users,
    sessions: &dyn SessionStore,
    console: &mut Console,
) -> Result<(), CliError> {
    use SessionsCommand as C;
    match command {
        C::List { user: Named { name }, json } => list(&find(users, &name).await?, json, sessions, console).await,
        C::Revoke { id, name } => {
            let user = find(users, &name).await?;
            users.withdraw_links(&user.id).await?;
            revoke(&user, &id, sessions, console).await
        }
        C::RevokeAll(Named { name }) => {
            let user = find(users, &name).await?;
            let ended = sessions.end_all(&user.id, None).await?;
            users.withdraw_links(&user.id).await?;
            Ok(console.say(format!("{}: {} ended", user.username, counted(ended)))?)
        }
    }
}

async fn list(user: &User, json: bool, sessions: &dyn SessionStore, console: &mut Console) -> Result<(), CliError> {
    let sessions = sessions.list(&user.id, None, usize::MAX).await?;
    if json {
        return Ok(sessions.iter().try_for_each(|session| console.say(object(session)))?);
    }
    let count = u64::try_from(sessions.len()).unwrap_or(u64::MAX);
    if count > 0 {
        let rows: Vec<_> = std::iter::once(TITLE.map(str::to_owned)).chain(sessions.iter().map(row)).collect();
        console.table(&rows)?;
    }
    Ok(console.say(format!("{}: {}", user.username, counted(count)))?)
}

async fn revoke(user: &User, id: &str, sessions: &dyn SessionStore, console: &mut Console) -> Result<(), CliError> {
    let id: SessionId = id.parse().map_err(|error| CliError::refused(format!("{id:?} is {error}")))?;
    if sessions.end(&user.id, id).await? {
        return Ok(console.say(format!("{}: session {id} ended", user.username))?);
    }
    Err(CliError::refused(format!("{} has no living session {id}", user.username)))
}

/// A session as the API describes a device.
fn object(session: &Session) -> Value {
    json!({
        "id": session.id.to_string(),
        "label": session.label.user_agent,
        "address": session.label.address,
        "openedAt": rfc3339(session.opened_at),
        "lastUsedAt": rfc3339(session.rotated_at),
        "expiresAt": rfc3339(session.idle_ends_at),
    })
}

/// The device is last, because the client chose its text.
fn row(session: &Session) -> [String; 6] {
    [
        session.id.to_string(),
        rfc3339(session.opened_at),
        rfc3339(session.rotated_at),
        rfc3339(session.idle_ends_at),
        printable(&session.label.address),
        printable(&session.label.user_agent),
    ]
}
