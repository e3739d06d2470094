use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};
use shared_claims::Role;
use uuid::Uuid;

use super::ImportArgs;
use super::value::{flag, is_admin, key, milliseconds, plain};
use crate::passwords::{PasswordHash, Passwords};
use crate::users::ImportedUser;

/// The end of the year 9999, where RFC 3339 ends.
const MAX_MS: i64 = 253_402_300_799_999;

/// Members that mean that an account must not log in: `banned`, `isBanned`, `bannedAt`; also values of `status`.
const DISABLED: [&str; 9] =
    ["disabled", "banned", "blocked", "suspended", "deleted", "deactivated", "inactive", "locked", "archived"];
/// Members that mean that an account may log in.
const ENABLED: [&str; 2] = ["active", "enabled"];
/// Members that hold the hash; the first one present is used.
const HASH: [&str; 4] = ["passwordhash", "password", "hashedpassword", "hash"];

/// The members of a record, by their names in lower case without `_`. Reading a member removes it.
pub(super) struct Row(HashMap<String, Vec<(String, Value)>>);

impl Row {
    /// Members of `record` that are `null`, an empty text, or their equivalents in SQL exports count as absent.
    pub(super) fn new(record: Map<String, Value>) -> Self {
        let mut members = HashMap::<_, Vec<_>>::new();
        for (name, value) in record {
            let value = plain(value);
            if !matches!(value.as_str().map(str::trim), Some("" | "NULL" | "\\N")) && !value.is_null() {
                members.entry(key(&name)).or_default().push((name, value));
            }
        }
        Self(members)
    }

    /// Reads the user of this record.
    ///
    /// # Errors
    /// The invalid member and the reason. No hash is quoted.
    pub(super) fn user(
        &mut self,
        passwords: &Passwords,
        args: &ImportArgs,
        now_ms: i64,
    ) -> Result<ImportedUser, String> {
        let derive = args.usernames_from_email;
        let (username, login) = match self.text("username")? {
            Some((name, login)) if login.contains('@') && !derive => {
                return Err(format!("{name} is an email; --usernames-from-email derives a user name from it"));
            }
            Some(login) if login.1.contains('@') => (None, Some(login)),
            Some((name, login)) => (Some(login.parse().map_err(about(&name))?), None),
            None if derive => (None, None),
            None => return Err("username is missing; --usernames-from-email derives one".to_owned()),
        };
        let email = self.text("email")?.or(login);
        let email = email.map(|(name, email)| email.parse().map_err(about(&name))).transpose()?;
        if username.is_none() && email.is_none() {
            return Err("username and email are missing".to_owned());
        }
        Ok(ImportedUser {
            id: self.id(),
            username,
            email,
            hash: self.hash(passwords)?,
            role: self.role(args.role_field.as_deref())?,
            disabled: self.disabled()?,
            created_at: self.created_at()?.unwrap_or(now_ms),
        })
    }

    /// The names of the members that were not read.
    pub(super) fn ignored(self) -> impl Iterator<Item = String> {
        self.0.into_values().flatten().map(|(name, _)| name)
    }

    /// Removes a member and returns it with its name. Two spellings of it must have the same value.
    fn take(&mut self, name: &str) -> Result<Option<(String, Value)>, String> {
        let members = self.0.remove(&key(name)).unwrap_or_default();
        match members.iter().find(|(_, value)| *value != members[0].1) {
            Some((other, _)) => Err(format!("{} and {other} contradict each other", members[0].0)),
            None => Ok(members.into_iter().next()),
        }
    }

    /// Counts a member as ignored.
    fn put_back(&mut self, (name, value): (String, Value)) {
        self.0.entry(key(&name)).or_default().push((name, value));
    }

    fn text(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        match self.take(name)? {
            None => Ok(None),
            Some((name, Value::String(text))) => Ok(Some((name, text.trim().to_owned()))),
            Some((name, _)) => Err(format!("{name} must be a text")),
        }
    }

    /// Reads a flag; a list or an object of that name is ignored.
    fn flag(&mut self, name: &str) -> Result<Option<bool>, String> {
        match self.take(name)? {
            None => Ok(None),
            Some(other @ (_, Value::Array(_) | Value::Object(_))) => {
                self.put_back(other);
                Ok(None)
            }
            Some((name, value)) => flag(&value).map(Some).ok_or_else(|| format!("{name} must be true or false")),
        }
    }

    /// Reads a UUID; an id of another kind is ignored.
    fn id(&mut self) -> Option<Uuid> {
        let members = self.0.get_mut("id")?;
        let uuid = |value: &Value| Uuid::try_parse(value.as_str()?).ok();
        let place = members.iter().position(|(_, value)| uuid(value).is_some())?;
        uuid(&members.remove(place).1)
    }

    fn hash(&mut self, passwords: &Passwords) -> Result<PasswordHash, String> {
        for name in HASH {
            if let Some((name, stored)) = self.text(name)? {
                let hash = PasswordHash::parse(stored).map_err(about(&name))?;
                passwords.check_import(&hash).map_err(about(&name))?;
                return Ok(hash);
            }
        }
        Err("passwordHash is missing: only an account with a bcrypt hash can be imported".to_owned())
    }

    /// Reads `role`, the flag `admin` of some Express services, or the member of `--role-field`. All that are present
    /// must agree.
    fn role(&mut self, role_field: Option<&str>) -> Result<Role, String> {
        let mapped = role_field.map(|name| self.take(name)).transpose()?.flatten();
        let mapped = mapped.map(|(_, value)| role_of(is_admin(&value)));
        let named = self.text("role")?.map(|(_, role)| role.parse::<Role>());
        let named = named.transpose().map_err(about("role"));
        let named = named.map_err(|why| why + "; --role-field role makes a member of any other value")?;
        let flagged = self.flag("admin")?.map(role_of);
        let mut roles = [named, flagged, mapped].into_iter().flatten();
        let role = roles.next().unwrap_or(Role::Member);
        if roles.any(|other| other != role) {
            let field = role_field.map(|name| format!(" (or {name})")).unwrap_or_default();
            return Err(format!("role and admin{field} contradict each other"));
        }
        Ok(role)
    }

    fn disabled(&mut self) -> Result<bool, String> {
        let mut disabled = false;
        for (words, value) in [(&DISABLED[..], true), (&ENABLED[..], false)] {
            for word in words {
                disabled |= self.flag(word)? == Some(value);
                disabled |= self.flag(&format!("is{word}"))? == Some(value);
                let at = if value { self.take(&format!("{word}at"))? } else { None };
                disabled |= at.is_some_and(|(_, at)| flag(&at) != Some(false));
            }
        }
        let Some((name, status)) = self.take("status")? else { return Ok(disabled) };
        let word = status.as_str().map(str::trim).unwrap_or_default().to_lowercase();
        match flag(&status) {
            Some(active) => disabled |= !active,
            None if DISABLED.contains(&word.as_str()) => disabled = true,
            None if ENABLED.contains(&word.as_str()) => {}
            None => self.put_back((name, status)),
        }
        Ok(disabled)
    }

    /// Reads milliseconds, or a date. A text in another form is ignored rather than refused.
    fn created_at(&mut self) -> Result<Option<i64>, String> {
        let Some((name, value)) = self.take("createdAt")? else { return Ok(None) };
        let ms = milliseconds(&value);
        if ms.is_none() && !value.is_number() {
            self.put_back((name, value));
            return Ok(None);
        }
        let known = ms.filter(|ms| (0..=MAX_MS).contains(ms));
        known.map(Some).ok_or_else(|| format!("{name} must be milliseconds since 1970, at most those of the year 9999"))
    }
}

const fn role_of(is_admin: bool) -> Role {
    if is_admin { Role::Admin } else { Role::Member }
}

fn about<E: fmt::Display>(name: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{name} {error}")
}
