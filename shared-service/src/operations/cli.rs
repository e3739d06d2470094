//! The commands that every service has in addition to its own.

use std::error::Error;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use utoipa::openapi::OpenApi;

use super::{healthcheck, start_logging};
use crate::database::{backup, backup_into};
use crate::http::ServerOptions;
use crate::settings::{Settings, SettingsError};

/// The commands that every service has.
#[derive(Debug, Subcommand)]
pub enum CommonCommand {
    /// Show the effective settings as lines for .env, without secrets; or what is wrong with them
    Config,
    /// Write a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Copy a database file, as it stands now; the service may run
    Backup {
        /// The new file; - is the standard output
        file: PathBuf,
    },
    /// Write the description of all calls, as /openapi.json has it, to the standard output
    Openapi,
    /// Ask a running service if it is ready: exit code 0 or 1
    Healthcheck {
        /// The URL to ask instead of this machine's /readyz, such as `https://host:3000/livez`
        url: Option<String>,
    },
}

/// The parts of a service that these commands use.
pub struct Program {
    /// Its command line.
    pub command: clap::Command,
    /// Reads all its settings.
    pub settings: fn(&mut Settings),
    /// Reads the address of its database.
    pub database_url: fn(&mut Settings) -> String,
    /// Reads its server options.
    pub server: fn(&mut Settings) -> ServerOptions,
    /// The document of its calls.
    pub document: fn() -> OpenApi,
}

impl CommonCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// The reason of the failure, for the operator.
    pub async fn run(self, mut program: Program) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Config => config(program.settings),
            Self::Completions { shell } => {
                let (name, mut script) = (program.command.get_name().to_owned(), Vec::new());
                clap_complete::generate(shell, &mut program.command, name, &mut script);
                say(&script)
            }
            Self::Backup { file } => copy(program.database_url, &file).await,
            Self::Openapi => say((program.document)().to_pretty_json()? + "\n"),
            Self::Healthcheck { url } => {
                let own = || (program.server)(&mut Settings::from_process()).ready_url();
                Ok(healthcheck(&url.unwrap_or_else(own)).await?)
            }
        }
    }
}

/// Starts the log, and reads a part of `settings`.
///
/// # Errors
/// At least one setting is invalid.
pub fn read<T>(mut settings: Settings, read: impl FnOnce(&mut Settings) -> T) -> Result<T, SettingsError> {
    start_logging(&mut settings);
    let config = read(&mut settings);
    settings.finish()?;
    Ok(config)
}

/// Prints the error of the program `name`, if any; returns the exit code. An output that its reader closed early
/// (`| head`) is no failure.
#[must_use]
pub fn exit(name: &str, done: Result<(), Box<dyn Error>>) -> ExitCode {
    let is_unread = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref().is_some_and(is_unread) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: impl AsRef<[u8]>) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(text.as_ref())?)
}

fn config(read_all: fn(&mut Settings)) -> Result<(), Box<dyn Error>> {
    let lines = read(Settings::from_process(), |settings| {
        read_all(settings);
        settings.effective()
    })?;
    say(lines.join("\n") + "\n")
}

async fn copy(database_url: fn(&mut Settings) -> String, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::from_process();
    let url = database_url(&mut settings);
    settings.finish()?;
    if file == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err("a terminal is no place for a database: name a file, or write backup - >FILE".into());
        }
        return backup_into(&url, &mut io::stdout().lock()).await;
    }
    backup(&url, file).await?;
    say(format!("{} is a copy of the database as it was when this began\n", file.display()))
}
