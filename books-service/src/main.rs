//! The program `books-service`.

use std::process::ExitCode;

use books_service::{Config, StartError, start};
use clap::{Parser, Subcommand};
use shared_http::{Settings, Stop, healthcheck, start_logging};

type Failure = Box<dyn std::error::Error>;

/// The library catalogue: members read it, admins change it.
#[derive(Debug, Parser)]
#[command(
    name = "books-service",
    version,
    after_help = "All settings come from the environment, or from .env: see .env.example."
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
    shared_http::serve(stop, async { Ok::<_, StartError>(vec![start(&config).await?]) }).await?;
    Ok(())
}

async fn ask(url: Option<String>) -> Result<(), Failure> {
    let url = url.unwrap_or_else(|| Config::server(&mut Settings::from_process()).ready_url());
    Ok(healthcheck(&url).await?)
}
