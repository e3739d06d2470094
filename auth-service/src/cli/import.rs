use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use shared_claims::Role;
use shared_service::Progress;
use uuid::Uuid;

use super::{CliError, Console, House};
use crate::passwords::{PasswordHash, Passwords};
use crate::users::{Email, Import, ImportedUser, Username};

/// A line that nobody can be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub number: usize,
    /// What is wrong with it; never quotes a hash or a password.
    pub why: String,
}

/// One message for all of them.
pub(super) fn report(lines: &[BadLine]) -> String {
    let wrong: Vec<String> = lines.iter().map(|bad| format!("line {}: {}", bad.number, bad.why)).collect();
    format!("nobody was imported, because of {} of the lines\n{}", lines.len(), wrong.join("\n"))
}

pub(super) async fn import(house: House<'_>, console: &mut Console, file: &Path, now_ms: i64) -> Result<(), CliError> {
    let bytes = if file == Path::new("-") { console.read_all()? } else { read(file)? };
    let text = String::from_utf8(bytes).map_err(|_| CliError::refused("the file is not UTF-8"))?;
    let people = parse_all(&text, house.passwords, now_ms).map_err(CliError::Import)?;
    let (numbers, people): (Vec<usize>, Vec<ImportedUser>) = people.into_iter().unzip();
    let mut progress = Progress::of("people");
    let done = house.users.import(&people, |done| progress.is_at(done)).await?;
    drop(progress);
    match done {
        Import::Done { added, present } => {
            console.say(format!("{added} added; {present} were there already and are as they were"))?;
            warn_of_cost(house.passwords, console, &people)
        }
        Import::Refused(refused) => {
            let bad = refused.into_iter().map(|(index, why)| BadLine { number: numbers[index], why: why.to_string() });
            Err(CliError::Import(bad.collect()))
        }
    }
}

/// Failures imitate the costliest hash, so that their time tells nobody whose it is.
fn warn_of_cost(passwords: &Passwords, console: &mut Console, people: &[ImportedUser]) -> Result<(), CliError> {
    let costly: Vec<_> = people.iter().map(|person| &person.hash).filter(|hash| passwords.is_costly(hash)).collect();
    let Some(cost) = costly.iter().map(|hash| hash.cost()).max() else { return Ok(()) };
    let count = costly.len();
    Ok(console.say(format!(
        "{count} of the hashes have a bcrypt cost above BCRYPT_COST, up to {cost}: every failed login takes as long as one of \
         cost {cost} until their owners have logged in and the service was started again"
    ))?)
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(file).map_err(|error| CliError::refused(format!("{}: {error}", file.display())))
}

/// Everybody with the number of their line, or all that is wrong.
fn parse_all(text: &str, passwords: &Passwords, now_ms: i64) -> Result<Vec<(usize, ImportedUser)>, Vec<BadLine>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut people, mut bad, mut seen) = (Vec::new(), Vec::new(), Seen::default());
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (number, line) in lines.map(|(index, line)| (index + 1, line)) {
        match parse(line, passwords, now_ms).and_then(|person| seen.check(number, person)) {
            Ok(person) => people.push((number, person)),
            Err(why) => bad.push(BadLine { number, why }),
        }
    }
    if bad.is_empty() { Ok(people) } else { Err(bad) }
}

/// What an earlier line has taken, and which one.
#[derive(Default)]
struct Seen(HashMap<String, usize>);

impl Seen {
    fn check(&mut self, number: usize, person: ImportedUser) -> Result<ImportedUser, String> {
        let username = Some(format!("username {}", person.username));
        let email = person.email.as_ref().map(|email| format!("email {}", email.as_str()));
        let id = person.id.map(|id| format!("id {id}"));
        for key in [username, email, id].into_iter().flatten() {
            if let Some(first) = self.0.get(&key) {
                let what = key.split(' ').next().unwrap_or_default();
                return Err(format!("{what} stands in line {first} already"));
            }
            self.0.insert(key, number);
        }
        Ok(person)
    }
}

fn parse(line: &str, passwords: &Passwords, now_ms: i64) -> Result<ImportedUser, String> {
    let fields = object(line)?;
    Ok(ImportedUser {
        id: text(&fields, "id")?.and_then(|id| Uuid::try_parse(id).ok()),
        username: Username::parse(required(&fields, "username")?).map_err(about("username"))?,
        email: text(&fields, "email")?.map(Email::parse).transpose().map_err(about("email"))?,
        hash: hash(&fields, passwords)?,
        role: role(&fields)?,
        disabled: flag(&fields, "disabled")?.unwrap_or(false),
        created_at: created_at(&fields)?.unwrap_or(now_ms),
    })
}

fn object(line: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Array(_)) => Err("is a JSON array; write one object a line (jq -c '.[]' does)".into()),
        Ok(_) => Err("is not a JSON object".into()),
        // The parser's own words could quote the line.
        Err(error) => Err(format!("is not JSON from character {} on; write one object a line", error.column())),
    }
}

/// `passwordHash` is ours; Express services keep the hash in `password`.
fn hash(fields: &Map<String, Value>, passwords: &Passwords) -> Result<PasswordHash, String> {
    let name = if fields.contains_key("passwordHash") { "passwordHash" } else { "password" };
    let stored = text(fields, name)?.ok_or("passwordHash is missing")?;
    let hash = PasswordHash::parse(stored).map_err(about(name))?;
    passwords.check_import(&hash).map_err(about(name))?;
    Ok(hash)
}

/// `role` is ours; some Express services have a flag `admin`. Whoever has both must mean the same.
fn role(fields: &Map<String, Value>) -> Result<Role, String> {
    let named = text(fields, "role")?.map(str::parse::<Role>).transpose().map_err(about("role"))?;
    let flagged = flag(fields, "admin")?.map(|admin| if admin { Role::Admin } else { Role::Member });
    match (named, flagged) {
        (Some(named), Some(flagged)) if named != flagged => Err("role and admin contradict each other".into()),
        (named, flagged) => Ok(named.or(flagged).unwrap_or(Role::Member)),
    }
}

/// Other programs write other forms, such as `{"$date": …}`; the day they were made is not worth a refusal.
fn created_at(fields: &Map<String, Value>) -> Result<Option<i64>, String> {
    match fields.get("createdAt") {
        Some(Value::Number(number)) => {
            let ms = number.as_i64().filter(|ms| (0..=MAX_MS).contains(ms));
            ms.map(Some).ok_or_else(|| "createdAt must be milliseconds since 1970".into())
        }
        _ => Ok(None),
    }
}

/// The end of the year 9999, where RFC 3339 ends.
const MAX_MS: i64 = 253_402_300_799_999;

fn required<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    text(fields, name)?.ok_or_else(|| format!("{name} is missing"))
}

/// A text; absent and null are the same. An `id` may be anything: numbers and `ObjectIds` are not ours.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) if name == "id" => Ok(None),
        Some(_) => Err(format!("{name} must be a text")),
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(format!("{name} must be true or false")),
    }
}

fn about<E: fmt::Display>(name: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{name} {error}")
}
