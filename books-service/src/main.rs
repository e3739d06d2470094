//! The program `books-service`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use books_service::app::open;
use books_service::books::Books;
use books_service::routes::Calls;
use books_service::{Config, doctor, start};
use clap::{CommandFactory, Parser, Subcommand};
use shared_service::operations::cli::{CommonCommand, Program, exit, read};
use shared_service::operations::document;
use shared_service::{Progress, Settings, ShutdownSignal, keep_private};

type Failure = Box<dyn std::error::Error>;

/// The library catalogue: members read it, admins change it.
#[derive(Debug, Parser)]
#[command(
    name = "books-service",
    version,
    after_help = "All settings come from the environment, or from .env: see .env.example.\n\n\
    Examples:\n  \
      books-service doctor                     what is wrong, before the first start or beside a running service\n  \
      books-service export >books.jsonl        all books; `import books.jsonl` takes them back\n  \
      books-service backup books-backup.db     a copy of the SQLite database, while the service runs\n  \
      books-service completions bash >/etc/bash_completion.d/books-service"
)]
struct Cli {
    /// The command; without one, `serve`
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests (this is what happens without a command)
    Serve,
    /// Write all books as JSON lines to the standard output
    Export,
    /// Add books from JSON lines as `export` writes them, a JSON array, or CSV with a header: all or none
    ///
    /// The columns or members are author, country, language, pages, title, year and, optionally, id and version. A book
    /// whose id is there already is left as it is, so a second run changes nothing; one without an id gets a new one.
    Import {
        /// The file; - is the standard input
        file: PathBuf,
    },
    /// Check settings, secret, certificate, address and database. Exit code 0 unless a line says FAIL
    Doctor {
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// The commands that every service has.
    #[command(flatten)]
    Common(CommonCommand),
}

#[actix_web::main]
async fn main() -> ExitCode {
    keep_private();
    let done = match Cli::parse().command.unwrap_or(Command::Serve) {
        Command::Serve => serve().await,
        Command::Export => export().await,
        Command::Import { file } => import(&file).await,
        Command::Doctor { json } => look(json).await,
        Command::Common(command) => command.run(program()).await,
    };
    exit("books-service", done)
}

fn program() -> Program {
    Program {
        command: Cli::command(),
        settings: |settings| drop(Config::read(settings)),
        database_url: Config::database_url,
        server: Config::server,
        document: document::<Calls>,
    }
}

async fn serve() -> Result<(), Failure> {
    let stop = ShutdownSignal::listen()?;
    let config = read(Settings::from_process(), |settings| {
        let config = Config::read(settings);
        settings.log();
        config
    })?;
    shared_service::serve(stop, async { Ok(vec![start(&config, None).await?]) }).await
}

/// The settings of a command, whose log shows only warnings and errors unless `RUST_LOG` is set.
fn settings() -> Settings {
    let mut settings = Settings::from_process();
    settings.fill("RUST_LOG", "warn");
    settings
}

async fn books() -> Result<Books, Failure> {
    Ok(open(&read(settings(), Config::database_url)?).await?)
}

async fn export() -> Result<(), Failure> {
    let (mut out, mut done, progress) = (io::stdout().lock(), 0, Progress::of("books"));
    let line = |line: &str| {
        done += 1;
        progress.set(done);
        writeln!(out, "{line}").map_err(Failure::from)
    };
    books().await?.export(line).await
}

async fn import(file: &Path) -> Result<(), Failure> {
    let progress = Progress::of("books");
    let count = |done| progress.set(done);
    let done = if file == Path::new("-") {
        books().await?.import(io::stdin().lock(), count).await?
    } else {
        let file = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
        books().await?.import(file, count).await?
    };
    drop(progress);
    Ok(writeln!(io::stdout(), "{} added; {} were there already and are as they were", done.added, done.present)?)
}

async fn look(json: bool) -> Result<(), Failure> {
    match doctor(settings(), json, io::stdout().lock()).await? {
        0 => Ok(()),
        some => Err(format!("lines that say FAIL: {some}").into()),
    }
}
