use serde_json::json;

use super::{CliError, Console};
use crate::users::{Account, Email, Users};

const PAGE: i64 = 500;

pub(super) async fn export(users: &Users, console: &mut Console) -> Result<(), CliError> {
    let mut last = String::new();
    loop {
        let accounts = users.accounts_after(&last, PAGE).await?;
        let Some(end) = accounts.last() else { return Ok(()) };
        last.clone_from(&end.user.id);
        accounts.iter().try_for_each(|account| console.say(line(account)))?;
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
