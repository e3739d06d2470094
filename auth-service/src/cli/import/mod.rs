//! `users import`.

/// The user in a record.
mod person;
/// Flags, dates and roles, as various databases write them.
mod value;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use shared_service::Progress;
use shared_service::operations::records::{self, Records};

use self::person::Row;
use super::console::printable;
use super::{CliContext, CliError, Console};
use crate::passwords::{PasswordHash, Passwords};
use crate::users::{Import, ImportedUser, Username};

/// The arguments of `users import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file; - is standard input
    file: PathBuf,
    /// Derive a user name from the email where there is none, or where the user name is an email
    #[arg(long)]
    usernames_from_email: bool,
    /// Import the good lines, write the others with their reasons to a new file, and end with exit code 3
    ///
    /// The file is FILE.rejected if none is named; if people come from standard input, the reasons go to standard error.
    #[arg(long, value_name = "REJECTED", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "clap's type for an option whose value may be left out")]
    skip_invalid: Option<Option<PathBuf>>,
    /// Read the role from this member: admin for "admin", true, 1, or a list that holds "admin"; member for any other value
    #[arg(long, value_name = "MEMBER")]
    role_field: Option<String>,
}

/// A line that is not imported. `Debug` does not show the record, which may contain a hash.
pub struct BadLine {
    /// The line in which the record begins, counted from 1.
    pub number: u64,
    /// The reason; it never quotes a hash or a password.
    pub why: String,
    record: Option<Map<String, Value>>,
}

impl fmt::Debug for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

/// The lines with their reasons, one per line.
pub(super) fn report(lines: &[BadLine]) -> String {
    lines.iter().flat_map(|bad| ["\n".to_owned(), format!("{bad:?}")]).collect()
}

/// The first of `lines`, and how many more there are.
pub(super) fn listed(lines: &[BadLine]) -> String {
    records::listed(lines.iter().map(|bad| (bad.number, bad.why.as_str())))
}

/// A valid line.
struct Good {
    number: u64,
    record: Map<String, Value>,
    user: ImportedUser,
}

/// The lines of a file, valid and invalid.
#[derive(Default)]
struct Batch {
    good: Vec<Good>,
    bad: Vec<BadLine>,
    /// The number of lines with each ignored member.
    ignored: BTreeMap<String, usize>,
}

pub(super) async fn import(
    context: CliContext<'_>,
    console: &mut Console,
    args: &ImportArgs,
    now_ms: i64,
) -> Result<(), CliError> {
    let mut batch = if args.file == Path::new("-") {
        Batch::read(&mut console.input, context.passwords, args, now_ms)
    } else {
        let file = File::open(&args.file).map_err(|error| in_file(&args.file, &error))?;
        Batch::read(file, context.passwords, args, now_ms)
    };
    batch.refuse_doubles();
    let (path, mut file) = (args.rejected(), None);
    let (added, present, derived) = loop {
        if !batch.bad.is_empty() {
            batch.bad.sort_by_key(|bad| bad.number);
            if args.skip_invalid.is_none() {
                return Err(CliError::Import(batch.bad));
            }
            if let Some(path) = &path {
                write_rejected(&mut file, path, &batch.bad).map_err(|error| in_file(path, &error))?;
            }
        }
        let progress = Progress::of("people");
        let users: Vec<_> = batch.good.iter().map(|good| &good.user).collect();
        match context.users.import(&users, |done| progress.set(done)).await? {
            Import::Done { added, present, derived } => break (added, present, derived),
            Import::Refused(refused) => batch.refuse(&refused.into_iter().collect()),
        }
    };
    console.say(format!("{added} added; {} were there already and are as they were", present.len()))?;
    batch.tell(console, &present, &derived)?;
    warn_of_cost(context.passwords, console, batch.good.iter().map(|good| &good.user.hash))?;
    if batch.bad.is_empty() { Ok(()) } else { Err(CliError::Skipped(batch.bad, path)) }
}

impl ImportArgs {
    /// The file for invalid lines; `None` for standard error.
    fn rejected(&self) -> Option<PathBuf> {
        let beside = (self.file != Path::new("-")).then(|| PathBuf::from(format!("{}.rejected", self.file.display())));
        self.skip_invalid.clone().flatten().or(beside)
    }
}

impl Batch {
    fn read(file: impl Read, passwords: &Passwords, args: &ImportArgs, now_ms: i64) -> Self {
        let mut batch = Self::default();
        for (number, record) in Records::of(file) {
            let read = record.map_err(|why| (why, None)).and_then(|record| {
                let mut row = Row::new(record.clone());
                match row.user(passwords, args, now_ms) {
                    Ok(user) => Ok((row, Good { number, record, user })),
                    Err(why) => Err((why, Some(record))),
                }
            });
            match read {
                Ok((row, good)) => {
                    row.ignored().for_each(|name| *batch.ignored.entry(name).or_default() += 1);
                    batch.good.push(good);
                }
                Err((why, record)) => batch.bad.push(BadLine { number, why, record }),
            }
        }
        batch
    }

    /// Refuses a user whose email, user name or id occurs in an earlier line.
    fn refuse_doubles(&mut self) {
        let (mut seen, mut doubles) = (HashMap::new(), HashMap::new());
        for (index, Good { number, user, .. }) in self.good.iter().enumerate() {
            let email = user.email.as_ref().map(|email| ("email", email.as_str().to_owned()));
            let username = user.username.as_ref().map(|name| ("username", name.to_string()));
            let keys = [username, email, user.id.map(|id| ("id", id.to_string()))];
            if let Some((what, first)) = keys.iter().flatten().find_map(|key| Some((key.0, seen.get(key)?))) {
                doubles.insert(index, format!("{what} stands in line {first} already"));
            } else {
                seen.extend(keys.into_iter().flatten().map(|key| (key, *number)));
            }
        }
        self.refuse(&doubles);
    }

    /// Moves the lines at these indexes to the invalid ones.
    fn refuse<W: ToString>(&mut self, reasons: &HashMap<usize, W>) {
        for (index, good) in std::mem::take(&mut self.good).into_iter().enumerate() {
            match reasons.get(&index) {
                None => self.good.push(good),
                Some(why) => {
                    self.bad.push(BadLine { number: good.number, why: why.to_string(), record: Some(good.record) });
                }
            }
        }
    }

    /// Reports existing users, derived user names, and ignored members.
    fn tell(&self, console: &mut Console, present: &[Username], derived: &[(usize, Username)]) -> io::Result<()> {
        let present = present.iter().map(ToString::to_string).collect();
        let derived =
            derived.iter().map(|(index, name)| format!("{name} (line {})", self.good[*index].number)).collect();
        let ignored = self.ignored.iter().map(|(name, count)| format!("{} ({count})", printable(name))).collect();
        let told: [(_, Vec<String>); 3] =
            [("there already", present), ("user names derived", derived), ("ignored", ignored)];
        let mut told = told.iter().filter(|(_, names)| !names.is_empty());
        told.try_for_each(|(what, names)| console.say(format!("{what}: {}", names.join(", "))))
    }
}

/// Writes `lines` to a file that is made at the first call. Later calls pass a longer list and overwrite it.
fn write_rejected(file: &mut Option<File>, path: &Path, lines: &[BadLine]) -> io::Result<()> {
    let file = match file {
        Some(file) => file,
        none => none.insert(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?),
    };
    file.rewind()?;
    lines.iter().try_for_each(|BadLine { number, why, record }| {
        writeln!(file, "{}", json!({"line": number, "reason": why, "record": record}))
    })
}

/// Warns that failed logins take as long as the costliest hash, so that their time does not reveal an account.
fn warn_of_cost<'a>(
    passwords: &Passwords,
    console: &mut Console,
    hashes: impl Iterator<Item = &'a PasswordHash>,
) -> io::Result<()> {
    let costly: Vec<_> = hashes.filter(|hash| passwords.is_costly(hash)).map(PasswordHash::cost).collect();
    let Some(cost) = costly.iter().max() else { return Ok(()) };
    console.say(format!(
        "{} of the hashes have a bcrypt cost above BCRYPT_COST, up to {cost}: every failed login takes as long as one of \
         cost {cost} until their owners have logged in and the service was started again",
        costly.len()
    ))
}

fn in_file(file: &Path, error: &io::Error) -> CliError {
    CliError::refused(format!("{}: {error}", file.display()))
}
