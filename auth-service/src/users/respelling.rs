use shared_service::database::{Connection, Work};
use sqlx::{Row, query};

use super::Email;

const PAGE: &str = "SELECT id, email, created_at FROM users WHERE id > $1 AND email IS NOT NULL ORDER BY id LIMIT 500";
const CHANGE: &str = "UPDATE users SET email = $1 WHERE id = $2 AND NOT EXISTS (SELECT 1 FROM users WHERE email = $1)";

/// Rewrites each stored email in the spelling of [`Email`], the oldest account first. If two accounts then have the
/// same email, the later one keeps the old spelling: its owner logs in by user name.
pub fn respell_emails(connection: &mut Connection) -> Work<'_> {
    Box::pin(async move {
        let (mut last, mut changes) = (String::new(), Vec::new());
        loop {
            let page = query(PAGE).bind(last.clone()).fetch_all(&mut *connection).await?;
            for row in &page {
                last = row.try_get(0)?;
                let old: String = row.try_get(1)?;
                match old.parse::<Email>() {
                    Ok(email) if email.as_str() == old => {}
                    Ok(email) => changes.push((row.try_get::<i64, _>(2)?, last.clone(), email)),
                    Err(_) => log::warn!("the email of user {last} is not valid any more, and is kept unchanged"),
                }
            }
            if page.is_empty() {
                break;
            }
        }
        changes.sort_by(|(one, id, _), (other, other_id, _)| (one, id).cmp(&(other, other_id)));
        for (_, id, email) in changes {
            let change = query(CHANGE).bind(email.as_str().to_owned()).bind(id.clone());
            if change.execute(&mut *connection).await?.rows_affected() == 0 {
                log::warn!("the email of user {id} keeps its old spelling: another account has that email");
            }
        }
        Ok(())
    })
}
