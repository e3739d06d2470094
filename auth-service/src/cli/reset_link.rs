use shared_service::clock::{now_ms, rfc3339};

use super::{CliContext, CliError, Console};
use crate::mail::Linked;
use crate::users::User;

/// Prints a link by which `user` sets a password.
pub(super) async fn reset_link(context: CliContext<'_>, console: &mut Console, user: &User) -> Result<(), CliError> {
    let linked = match context.recovery {
        Some(recovery) => recovery.link(None, &user.id, now_ms()).await?,
        None => None,
    };
    match linked {
        Some(Linked::Link(link)) => {
            console.say(&link.url)?;
            Ok(console.say(format!("for {}, until {}", user.username, rfc3339(link.expires_at)))?)
        }
        Some(Linked::NotFound) => Err(CliError::refused("the user is gone by now")),
        Some(Linked::NotConfigured) | None => {
            Err(CliError::refused("PUBLIC_URL is not set: the link needs auth-service's address as a browser sees it"))
        }
    }
}
