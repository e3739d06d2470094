use serde_json::json;
use shared_service::Progress;

use super::{CliError, Console};
use crate::users::{Account, Email, Users};

const PAGE: i64 = 500;

pub(super) async fn export(users: &Users, console: &mut Console) -> Result<(), CliError> {
    let (mut last, mut done, mut progress) = (String::new(), 0, Progress::of("people"));
    loop {
        let accounts = users.accounts_after(&last, PAGE).await?;
        let Some(end) = accounts.last() else { return Ok(()) };
        last.clone_from(&end.user.id);
        accounts.iter().try_for_each(|account| console.say(line(account)))?;
        done += accounts.len();
        progress.is_at(done);
    }
}

fn line(Account { user, hash }: &Account) -> serde_json::Value {
    json!({
        "id": user.id,
        "username": user.username.as_str(),
        "email": user.email.as_ref().map(Email::as_str),
        "role": user.role.as_str(),
        "disabled": user.disabled,
        "createdAt": user.created_at,
        "passwordHash": hash.as_stored(),
    })
}
