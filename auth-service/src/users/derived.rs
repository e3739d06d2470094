use std::collections::{HashMap, HashSet};

use shared_service::database::Transaction;
use unicode_normalization::UnicodeNormalization;

use super::{Email, Username};

/// The maximum length of a derived base name; leaves space for a number.
const LONGEST: usize = 24;
const OF_EMAIL: &str = "SELECT username FROM users WHERE email = $1";
const IS_TAKEN: &str = "SELECT count(*) FROM users WHERE username = $1";

/// Derives user names that are free in the database and unique in an import.
pub(super) struct Names {
    taken: HashSet<String>,
    /// The last number used for each base; without it, a thousand users called `info` would take a million lookups.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// Creates a deriver that never returns one of `taken`.
    pub(super) fn beside<'a>(taken: impl Iterator<Item = &'a Username>) -> Self {
        Self { taken: taken.map(Username::to_string).collect(), numbers: HashMap::new() }
    }

    /// The user name of an imported user, and true if it was derived now. An account of that email keeps its name.
    pub(super) async fn of(
        &mut self,
        transaction: &mut Transaction,
        username: Option<&Username>,
        email: Option<&Email>,
    ) -> Result<(Username, bool), sqlx::Error> {
        if let Some(name) = username {
            return Ok((name.clone(), false));
        }
        let email = email.map(Email::as_str).unwrap_or_default();
        let known = sqlx::query_scalar(OF_EMAIL).bind(email).fetch_optional(&mut **transaction).await?;
        if let Some(name) = known {
            return Ok((Username::stored(name), false));
        }
        loop {
            let name = self.next(base(email));
            let taken: i64 = sqlx::query_scalar(IS_TAKEN).bind(&name).fetch_one(&mut **transaction).await?;
            if taken == 0 && self.taken.insert(name.clone()) {
                return Ok((Username::stored(name), true));
            }
        }
    }

    /// `ann`, `ann-2`, `ann-3`, ….
    fn next(&mut self, base: String) -> String {
        let number = self.numbers.entry(base.clone()).or_default();
        *number += 1;
        if *number == 1 { base } else { format!("{base}-{number}") }
    }
}

/// The part of `email` before the `@`, without characters that a user name cannot have; letters lose their accents.
fn base(email: &str) -> String {
    let local = email.split('@').next().unwrap_or_default();
    let letters = local.nfd().filter(char::is_ascii).map(|c| match c {
        'a'..='z' | '0'..='9' | '.' | '_' => c,
        _ => '-',
    });
    let letters: String = letters.take(LONGEST).collect();
    let letters = letters.trim_matches(['.', '_', '-']);
    if letters.len() < 3 { format!("user-{letters}").trim_end_matches('-').to_owned() } else { letters.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn username_follows_from_the_email() {
        for (email, expected) in [
            ("ann.smith@example.org", "ann.smith"),
            ("ann+books@example.org", "ann-books"),
            ("jürgen@example.org", "jurgen"),
            ("_x_@example.org", "user-x"),
            ("संपर्क@example.org", "user"),
            ("7@example.org", "user-7"),
            ("a.very.long.name.of.an.old.mailbox@example.org", "a.very.long.name.of.an.o"),
        ] {
            let name = base(email.parse::<Email>().unwrap().as_str());
            assert_eq!(name, expected);
            assert!(name.parse::<Username>().is_ok(), "{name}");
        }
    }
}
