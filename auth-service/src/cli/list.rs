use shared_service::clock::rfc3339;

use super::{CliError, Console};
use crate::users::{Email, User, Users};

const PAGE: i64 = 500;
const TITLE: [&str; 6] = ["USERNAME", "ROLE", "STATE", "EMAIL", "CREATED", "ID"];

pub(super) async fn list(users: &Users, console: &mut Console) -> Result<(), CliError> {
    let mut rows = vec![TITLE.map(str::to_owned)];
    let mut cursor = None;
    loop {
        let page = users.page(PAGE, cursor.as_deref(), None).await?;
        rows.extend(page.items.iter().map(row));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(table(&rows).iter().try_for_each(|line| console.say(line))?)
}

fn row(user: &User) -> [String; 6] {
    [
        user.username.to_string(),
        user.role.to_string(),
        if user.disabled { "disabled" } else { "enabled" }.to_owned(),
        user.email.as_ref().map_or("-", Email::as_str).to_owned(),
        rfc3339(user.created_at),
        user.id.clone(),
    ]
}

/// Columns as wide as their widest cell, two spaces between them, none at the end of a line.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_aligned() {
        let rows = [["NAME", "ROLE"], ["jo", "admin"], ["müller", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), ["NAME    ROLE", "jo      admin", "müller"]);
    }
}
