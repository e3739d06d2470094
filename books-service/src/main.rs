//! The program `books-service`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use books_service::app::open;
use books_service::books::Books;
use books_service::routes::document;
use books_service::{Config, StartError, doctor, start};
use clap::{CommandFactory, Parser, Subcommand};
use shared_http::database::backup;
use shared_http::{Progress, Settings, Stop, healthcheck, start_logging};

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
    /// What to do; without one, `serve`.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests (this is what happens without a command)
    Serve,
    /// Write all books as JSON lines to the standard output
    Export,
    /// Add books from JSON lines, as `export` writes them: all or none
    ///
    /// A book whose id is there already is left as it is, so a second run changes nothing.
    Import {
        /// The file; - is the standard input
        file: PathBuf,
    },
    /// Show the settings that count, as lines for .env, secrets hidden; or what is wrong with them
    Config,
    /// Write what a shell needs to complete our commands
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Say what is wrong before it hurts: settings, secret, certificate, address, database. Exit code 0 unless a line says FAIL
    Doctor,
    /// Copy a database that is a file, as it stands now, into a new file; the service may run
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Write the document of all calls, as /openapi.json has it, to the standard output
    Openapi,
    /// Ask a running service whether it is ready: exit code 0 or 1
    Healthcheck {
        /// What to ask instead of this machine's /readyz, such as <http://127.0.0.1:4000/livez>
        url: Option<String>,
    },
}

#[actix_web::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command.unwrap_or(Command::Serve) {
        Command::Serve => serve().await,
        Command::Export => export().await,
        Command::Import { file } => import(&file).await,
        Command::Config => config(),
        Command::Completions { shell } => complete(shell),
        Command::Doctor => look().await,
        Command::Backup { file } => copy(&file).await,
        Command::Openapi => print_document(),
        Command::Healthcheck { url } => ask(url).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("books-service: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let mut settings = Settings::from_process();
    start_logging(&mut settings);
    let config = Config::read(&mut settings);
    settings.finish()?;
    shared_http::serve(stop, async { Ok::<_, StartError>(vec![start(&config, None).await?]) }).await?;
    Ok(())
}

async fn books() -> Result<Books, Failure> {
    Ok(open(&database_url()?).await?)
}

fn database_url() -> Result<String, Failure> {
    let mut settings = Settings::from_process();
    let url = Config::database_url(&mut settings);
    settings.finish()?;
    Ok(url)
}

async fn export() -> Result<(), Failure> {
    let (mut out, mut done, mut progress) = (io::stdout().lock(), 0, Progress::of("books"));
    let line = |line: &str| {
        done += 1;
        progress.is_at(done);
        writeln!(out, "{line}").map_err(Failure::from)
    };
    books().await?.export(line).await
}

async fn import(file: &Path) -> Result<(), Failure> {
    let text = if file == Path::new("-") {
        io::read_to_string(io::stdin())?
    } else {
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?
    };
    let mut progress = Progress::of("books");
    let done = books().await?.import(&text, |done| progress.is_at(done)).await?;
    drop(progress);
    println!("{} added; {} were there already and are as they were", done.added, done.present);
    Ok(())
}

fn config() -> Result<(), Failure> {
    let mut settings = Settings::from_process();
    start_logging(&mut settings);
    Config::read(&mut settings);
    let lines = settings.effective();
    settings.finish()?;
    Ok(lines.iter().try_for_each(|line| writeln!(io::stdout(), "{line}"))?)
}

fn complete(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "books-service", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

async fn look() -> Result<(), Failure> {
    match doctor(Settings::from_process(), io::stdout().lock()).await? {
        0 => Ok(()),
        some => Err(format!("lines that say FAIL: {some}").into()),
    }
}

async fn copy(file: &Path) -> Result<(), Failure> {
    backup(&database_url()?, file).await?;
    println!("{} is a copy of the database as it was when this began", file.display());
    Ok(())
}

fn print_document() -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{}", document().to_pretty_json()?)?)
}

async fn ask(url: Option<String>) -> Result<(), Failure> {
    let url = url.unwrap_or_else(|| Config::server(&mut Settings::from_process()).ready_url());
    Ok(healthcheck(&url).await?)
}
