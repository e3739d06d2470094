use std::io;

use serde_json::{Value, json};
use shared_service::Progress;
use shared_service::clock::rfc3339;

use super::{CliContext, CliError, Console};
use crate::users::{Account, Email, User};

const PAGE: i64 = 500;
const TITLE: [&str; 6] = ["USERNAME", "ROLE", "STATE", "EMAIL", "CREATED", "ID"];

impl CliContext<'_> {
    pub(super) async fn list(self, console: &mut Console, json: bool) -> Result<(), CliError> {
        if json {
            return self.each(|account| console.say(public(&account.user))).await;
        }
        let mut rows = vec![TITLE.map(str::to_owned)];
        self.each(|Account { user, .. }| {
            let state = if user.disabled { "disabled" } else { "enabled" };
            let email = user.email.as_ref().map_or("-", Email::as_str);
            let cells = [user.username.as_str(), user.role.as_str(), state, email, &rfc3339(user.created_at), &user.id];
            rows.push(cells.map(str::to_owned));
            Ok(())
        })
        .await?;
        Ok(console.table(&rows)?)
    }

    pub(super) async fn export(self, console: &mut Console) -> Result<(), CliError> {
        let (mut done, progress) = (0, Progress::of("people"));
        let line = |Account { user, hash }: Account| {
            done += 1;
            progress.set(done);
            let mut line = public(&user);
            line["passwordHash"] = hash.as_stored().into();
            console.say(line)
        };
        self.each(line).await
    }

    /// Calls `with` for each account, in the order of their ids.
    async fn each(self, mut with: impl FnMut(Account) -> io::Result<()>) -> Result<(), CliError> {
        let mut last = String::new();
        loop {
            let page = self.users.accounts_after(&last, PAGE).await?;
            let Some(end) = page.last() else { return Ok(()) };
            last = end.user.id.to_string();
            page.into_iter().try_for_each(&mut with)?;
        }
    }
}

/// A user as a JSON object, without the password hash.
fn public(user: &User) -> Value {
    json!({
        "id": user.id.as_str(),
        "username": user.username.as_str(),
        "email": user.email.as_ref().map(Email::as_str),
        "role": user.role.as_str(),
        "disabled": user.disabled,
        "createdAt": user.created_at,
    })
}
