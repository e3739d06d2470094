//! The command line, for operators. No password and no secret is ever an argument, because other users can see the
//! arguments of a process, and the shell stores them; a token may be an argument.

/// Input and output of commands.
mod console;
/// `doctor`.
mod doctor;
/// `users import`.
mod import;
/// `keygen`.
mod keygen;
/// `keys`.
mod keys;
/// `users list` and `users export`.
mod listing;
/// `token mint`.
mod mint;
/// `sessions`.
mod sessions;
/// `token`.
mod token;
/// `users`.
mod users;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared_service::Settings;
use shared_service::database::StoreError;
use shared_service::operations::cli::{CommonCommand, exit, read};

use crate::app::{self, Stores};
use crate::config::{Config, StoreConfig};
use crate::mail::Recovery;
use crate::passwords::{Passwords, PoolError};
use crate::sessions::SessionStore;
use crate::users::{User, Users};

pub use console::Console;
use doctor::run_doctor;
pub use import::{BadLine, ImportArgs};
pub use keygen::{env_lines, kept, key_file, keygen};
pub use keys::show_keys;
pub use sessions::SessionsCommand;
use sessions::run_sessions;
pub use token::TokenCommand;
use token::{inspect, verify};
pub use users::{Named, UsersCommand, run_users};

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
    /// The command; without one, `serve`
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer requests (this is what happens without a command)
    Serve,
    /// Commands about its data.
    #[command(flatten)]
    Data(DataCommand),
    /// Make fresh secrets: two as lines for .env, or one in each file
    ///
    /// With --algorithm: one private key for access tokens, in PKCS#8, into the file, and its kid is printed; without a file, the
    /// key is. A file that is there stays as it is.
    Keygen {
        /// Make a private key for this algorithm instead of secrets
        #[arg(long, value_parser = ["ES256", "EdDSA"])]
        algorithm: Option<String>,
        /// Files for one secret each, readable by their owner alone; a file that is there stays as it is
        files: Vec<PathBuf>,
    },
    /// Show the keys of access tokens: kid, algorithm and state
    Keys {
        /// The set that is published
        #[arg(long)]
        jwks: bool,
        /// The public keys, for verifiers that read no set
        #[arg(long, conflicts_with = "jwks")]
        pem: bool,
    },
    /// The commands that every service has.
    #[command(flatten)]
    Common(CommonCommand),
}

/// Commands about the data of the service, whether it runs or not. local-stack has them too.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Manage people, also while the service runs
    #[command(subcommand)]
    Users(UsersCommand),
    /// Show and end sessions, also while the service runs
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Say what a token says, and why it is taken or refused
    #[command(subcommand)]
    Token(TokenCommand),
    /// Check settings, secrets, certificate, address and stores. Exit code 0 unless a line says FAIL
    Doctor {
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// The stores and hashing threads for commands about users.
#[derive(Clone, Copy)]
pub struct CliContext<'a> {
    /// The users.
    pub users: &'a Users,
    /// Their passwords.
    pub passwords: &'a Passwords,
    /// Their sessions.
    pub sessions: &'a dyn SessionStore,
    /// Password reset, for the command that makes a link.
    pub recovery: Option<&'a Recovery>,
}

impl DataCommand {
    /// Runs the command with `settings`. The log has only warnings and errors unless `RUST_LOG` is set.
    ///
    /// # Errors
    /// The reason why it did not succeed.
    pub async fn run(self, mut settings: Settings) -> Result<(), Box<dyn Error>> {
        settings.fill("RUST_LOG", "warn");
        let console = &mut Console::of_process();
        match self {
            Self::Users(command) => {
                let stores = app::open(read(settings, StoreConfig::read)?).await?;
                if command.ends_sessions() {
                    check_store(&stores).await?;
                }
                let Stores { users, passwords, sessions, recovery, .. } = &stores;
                let context = CliContext { users, passwords, sessions: &**sessions, recovery: Some(recovery) };
                run_users(command, context, console).await?;
            }
            Self::Sessions(command) => {
                let stores = app::open(read(settings, StoreConfig::read)?).await?;
                check_store(&stores).await?;
                run_sessions(command, &stores.users, &*stores.sessions, console).await?;
            }
            Self::Token(TokenCommand::Inspect { token, json }) => inspect(&token, json, console)?,
            Self::Token(TokenCommand::Verify { token, audience, json }) => {
                verify(&token, &audience, json, &read(settings, Config::read)?, console).await?;
            }
            Self::Token(TokenCommand::Mint(args)) => mint::mint(&args, settings, console)?,
            Self::Doctor { json } => run_doctor(settings, json, console).await?,
        }
        Ok(())
    }
}

/// The exit code of the program `name`: 3 if an import skipped lines. An output that its reader closed early (`| head`)
/// is no failure.
#[must_use]
pub fn exit_code(name: &str, done: Result<(), Box<dyn Error>>) -> ExitCode {
    let (mut is_unread, mut has_skipped) = (false, false);
    match done.as_ref().map_err(|error| error.downcast_ref()) {
        Err(Some(CliError::Io(error))) => is_unread = error.kind() == io::ErrorKind::BrokenPipe,
        Err(Some(CliError::Skipped(..))) => has_skipped = true,
        _ => {}
    }
    let code = exit(name, if is_unread { Ok(()) } else { done });
    if has_skipped { ExitCode::from(3) } else { code }
}

/// The reason why a command failed. Displays as one line, except for an import, which lists bad lines.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command cannot do what was asked.
    #[error("{0}")]
    Refused(String),
    /// No user was imported, because of these lines.
    #[error("no user was imported, because of {} of the lines{}", .0.len(), import::listed(.0))]
    Import(Vec<BadLine>),
    /// The other lines were imported; these were written to the file, if there is one.
    #[error("{} of the lines were not imported{}", .0.len(), .1.as_ref().map_or_else(
        || import::report(.0),
        |file| format!(": see {}", file.display())
    ))]
    Skipped(Vec<BadLine>, Option<PathBuf>),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hashing pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The terminal, standard input or output, or a file failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl CliError {
    fn refused(why: impl std::fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

/// Refuses a command whose settings name another store of sessions: it would end sessions there in vain.
async fn check_store(stores: &Stores) -> Result<(), CliError> {
    let (last, here) = (stores.users.sessions_in().await?, stores.limited.name());
    if last.is_empty() || last == here {
        return Ok(());
    }
    Err(CliError::refused(format!(
        "the service keeps its sessions in {last}, and this command would use {here}: set REDIS_URL as for the service"
    )))
}

/// Finds the user with this name, email or id. A name that is written like an id counts as a name.
async fn find(users: &Users, name: &str) -> Result<User, CliError> {
    let named = users.account_by_login(name).await?.map(|account| account.user);
    let found = if named.is_some() { named } else { users.find(name).await? };
    found.ok_or_else(|| no_user(name))
}

fn no_user(name: &str) -> CliError {
    CliError::refused(format!("there is no user called {name:?}"))
}

fn counted(sessions: u64) -> String {
    format!("{sessions} {}", if sessions == 1 { "session" } else { "sessions" })
}
