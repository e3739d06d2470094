//! The program: reads the command line and the settings, and does one thing.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use auth_service::app;
use auth_service::cli::{
    Cli, Command, Console, SessionsCommand, TokenCommand, inspect, keygen, run_doctor, run_sessions, run_users,
    unless_unread, verify,
};
use auth_service::config::{Config, StoreConfig};
use auth_service::document;
use clap::{CommandFactory, Parser};
use shared_http::database::backup;
use shared_http::{Settings, SettingsError, Stop, healthcheck, serve, start_logging};

#[actix_web::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command.unwrap_or(Command::Serve)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("auth-service: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Serve => {
            let stop = Stop::listen()?;
            let config = read(Config::read)?;
            let known = config.revocations.known();
            serve(stop, async { Ok::<_, app::StartError>(vec![app::start(config, known).await?]) }).await?;
        }
        Command::Users(command) => {
            let stores = app::open(read(StoreConfig::read)?).await?;
            run_users(command, &stores.users, &stores.passwords, &*stores.sessions).await?;
        }
        Command::Sessions(command) => sessions(command).await?,
        Command::Token(command) => token(command).await?,
        Command::Doctor => {
            unless_unread(run_doctor(Settings::from_process(), &mut Console::of_process()).await)?;
        }
        Command::Backup { file } => {
            backup(&read(StoreConfig::read)?.database_url, &file).await?;
            println!("{} is a copy of the database as it was when this began", file.display());
        }
        Command::Config => config()?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "auth-service", &mut script);
            io::stdout().write_all(&script)?;
        }
        Command::Openapi => writeln!(io::stdout(), "{}", document().to_pretty_json()?)?,
        Command::Healthcheck { url } => healthcheck(&url.unwrap_or_else(own_url)).await?,
        Command::Keygen { files } => keygen(&files)?,
    }
    Ok(())
}

async fn sessions(command: SessionsCommand) -> Result<(), Box<dyn Error>> {
    let stores = app::open(read(StoreConfig::read)?).await?;
    let done = run_sessions(command, &stores.users, &*stores.sessions, &mut Console::of_process()).await;
    Ok(unless_unread(done)?)
}

async fn token(command: TokenCommand) -> Result<(), Box<dyn Error>> {
    let console = &mut Console::of_process();
    let done = match command {
        TokenCommand::Inspect { token } => inspect(&token, console),
        TokenCommand::Verify { token, audience } => verify(&token, &audience, &read(Config::read)?, console).await,
    };
    Ok(unless_unread(done)?)
}

fn config() -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::from_process();
    start_logging(&mut settings);
    Config::read(&mut settings);
    let lines = settings.effective();
    settings.finish()?;
    Ok(lines.iter().try_for_each(|line| writeln!(io::stdout(), "{line}"))?)
}

fn own_url() -> String {
    Config::server(&mut Settings::from_process()).ready_url()
}

fn read<T>(read: impl FnOnce(&mut Settings) -> T) -> Result<T, SettingsError> {
    let mut settings = Settings::from_process();
    start_logging(&mut settings);
    let config = read(&mut settings);
    settings.finish()?;
    Ok(config)
}
