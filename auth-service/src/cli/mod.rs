//! The command line: what an operator does without a browser. No password and no secret is ever an argument, because
//! arguments stand in the process list and in the shell's history; a token need not be one.

/// Where questions are asked and answers printed.
mod console;
/// `doctor`.
mod doctor;
/// `users export`.
mod export;
/// `users import`.
mod import;
/// `keygen`.
mod keygen;
/// `users list`.
mod list;
/// Commands about one person.
mod people;
/// `sessions`.
mod sessions;
/// `token`.
mod token;

use std::io;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use shared_service::clock::now_ms;
use shared_service::database::StoreError;
use shared_service::operations::cli::CommonCommand;

use crate::passwords::{Passwords, PoolError};
use crate::sessions::SessionStore;
use crate::users::Users;

pub use console::Console;
pub use doctor::run_doctor;
pub use import::{BadLine, ImportArgs};
pub use keygen::{env_lines, kept, keygen};
pub use sessions::{SessionsCommand, run_sessions};
pub use token::{TokenCommand, inspect, verify};

/// Registers people, logs them in, keeps their sessions, signs their tokens.
#[derive(Debug, Parser)]
#[command(
    name = "auth-service",
    version,
    after_help = "All settings come from the environment, or from .env: see .env.example.\n\
    The first admin: auth-service users add NAME --role admin\n\n\
    Examples:\n  \
      auth-service doctor                      what is wrong, before the first start or beside a running service\n  \
      auth-service token verify - <token       why a token is taken or refused\n  \
      auth-service sessions revoke-all anna    sign anna out everywhere\n  \
      auth-service backup auth-backup.db       a copy of the SQLite database, while the service runs\n  \
      auth-service completions bash >/etc/bash_completion.d/auth-service"
)]
pub struct Cli {
    /// What to do; without one, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer requests (this is what happens without a command)
    Serve,
    /// Manage people, also while the service runs
    #[command(subcommand)]
    Users(UsersCommand),
    /// Show and end sessions, also while the service runs
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Say what a token says, and why it is taken or refused
    #[command(subcommand)]
    Token(TokenCommand),
    /// Say what is wrong before it hurts: settings, secrets, certificate, address, stores. Exit code 0 unless a line says FAIL
    Doctor,
    /// Make fresh secrets: two as lines for .env, or one in each file
    Keygen {
        /// Files for one secret each, readable by their owner alone; a file that is there stays as it is
        files: Vec<PathBuf>,
    },
    /// What every service can do.
    #[command(flatten)]
    Common(CommonCommand),
}

/// What can be done with people. Names are user names or emails.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
      auth-service users add alice --role admin              asks for the password\n  \
      echo \"$PASSWORD\" | auth-service users add alice      takes it from a variable\n  \
      auth-service users set-password alice@example.org      a new one; signs her out everywhere\n  \
      auth-service users export >people.jsonl                holds password hashes: keep it safe, or delete it")]
pub enum UsersCommand {
    /// Add somebody; asks for the password twice, or reads it as one line from standard input
    Add {
        /// 3 to 32 characters: a-z, digits, '.', '_', '-'
        name: String,
        /// member or admin
        #[arg(long, default_value = "member")]
        role: String,
        /// So that they can sign in by it, too
        #[arg(long)]
        email: Option<String>,
    },
    /// Show everybody
    List,
    /// Make somebody an admin, or a member again; counts from their next refresh
    SetRole {
        /// Who
        name: String,
        /// member or admin
        role: String,
    },
    /// Give somebody another password and sign them out everywhere; asks as `add` does
    SetPassword {
        /// Who
        name: String,
    },
    /// Keep somebody from signing in, and sign them out everywhere
    Disable {
        /// Who
        name: String,
    },
    /// Let somebody sign in again
    Enable {
        /// Who
        name: String,
    },
    /// Remove somebody for good, and sign them out everywhere
    Delete {
        /// Who
        name: String,
    },
    /// Add people from JSON lines, a JSON array, or CSV with a header: all of them, or none
    ///
    /// Members or columns, also in another spelling (`created_at`):
    ///   username      without one: --usernames-from-email
    ///   email
    ///   passwordHash  or password, hash: bcrypt ($2a$, $2b$, $2y$), or from `users export`; never plain text
    ///   role          member or admin; or admin, true or false; any other member by --role-field
    ///   disabled      or banned, blocked, suspended, deleted, deletedAt, isActive, enabled, status, …
    ///   createdAt     RFC 3339, a date of a database (UTC where no zone stands), or milliseconds since 1970
    ///   id            a UUID; another one is ignored
    /// Other members are ignored, counted and named. An account whose user name is there already is left as it is, so a
    /// second run changes nothing; its name is told. A bad line is told with the member that is wrong; --skip-invalid imports
    /// the others.
    /// From Mongo: mongoexport --collection users | auth-service users import - --usernames-from-email
    #[command(verbatim_doc_comment)]
    Import(ImportArgs),
    /// Write everybody as JSON lines that `users import` takes back; with their password hashes, so keep it safe
    Export,
}

/// Why a command did not do what it was asked to. Displays as one line, but for an import, which names every bad line.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The operator has to ask for something else.
    #[error("{0}")]
    Refused(String),
    /// Nobody was imported; these lines are why.
    #[error("nobody was imported, because of {} of the lines{}", .0.len(), import::report(.0))]
    Import(Vec<BadLine>),
    /// The other lines were imported; these stand in the file, if there is one.
    #[error("{} of the lines were not imported{}", .0.len(), .1.as_ref().map_or_else(
        || import::report(.0),
        |file| format!(": see {}", file.display())
    ))]
    Skipped(Vec<BadLine>, Option<PathBuf>),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hashing threads.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The terminal, standard input or output, or a file.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl CliError {
    fn refused(why: impl std::fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

/// What commands about people work with.
#[derive(Clone, Copy)]
pub struct House<'a> {
    /// The people.
    pub users: &'a Users,
    /// Their passwords.
    pub passwords: &'a Passwords,
    /// Their sessions.
    pub sessions: &'a dyn SessionStore,
}

/// Runs a command about people on this process's terminal or standard streams.
///
/// # Errors
/// Why it did not succeed, for the operator; see [`unless_unread`].
pub async fn run_users(
    command: UsersCommand,
    users: &Users,
    passwords: &Passwords,
    sessions: &dyn SessionStore,
) -> Result<(), CliError> {
    let house = House { users, passwords, sessions };
    unless_unread(run_users_on(command, house, &mut Console::of_process()).await)
}

/// A reader that has seen enough (`| head`) is no error.
///
/// # Errors
/// Any other that `done` holds.
pub fn unless_unread(done: Result<(), CliError>) -> Result<(), CliError> {
    match done {
        Err(CliError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// The same on a console of the caller's choice.
///
/// # Errors
/// Why it did not succeed.
pub async fn run_users_on(command: UsersCommand, house: House<'_>, console: &mut Console) -> Result<(), CliError> {
    use UsersCommand as C;
    match command {
        C::Add { name, role, email } => people::add(house, console, &name, &role, email.as_deref(), now_ms()).await,
        C::List => list::list(house.users, console).await,
        C::SetRole { name, role } => people::set_role(house, console, &name, &role).await,
        C::SetPassword { name } => people::set_password(house, console, &name).await,
        C::Disable { name } => people::disable(house, console, &name).await,
        C::Enable { name } => people::enable(house, console, &name).await,
        C::Delete { name } => people::delete(house, console, &name).await,
        C::Import(args) => import::import(house, console, &args, now_ms()).await,
        C::Export => export::export(house.users, console).await,
    }
}
