//! The program: reads the command line and the settings, and does one thing.

use std::error::Error;
use std::process::ExitCode;

use auth_service::app;
use auth_service::cli::{
    Cli, CliError, Command, Console, SessionsCommand, TokenCommand, inspect, keygen, run_doctor, run_sessions,
    run_users, unless_unread, verify,
};
use auth_service::config::{Config, StoreConfig};
use auth_service::document;
use clap::{CommandFactory, Parser};
use shared_service::operations::cli::{Program, exit};
use shared_service::{Settings, SettingsError, Stop, keep_private, serve, start_logging};

#[actix_web::main]
async fn main() -> ExitCode {
    keep_private();
    let done = run(Cli::parse().command.unwrap_or(Command::Serve)).await;
    let skipped = matches!(done.as_ref().map_err(|error| error.downcast_ref()), Err(Some(CliError::Skipped(..))));
    let code = exit("auth-service", done);
    if skipped { ExitCode::from(3) } else { code }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Serve => {
            let stop = Stop::listen()?;
            let config = read(|settings| {
                let config = Config::read(settings);
                settings.log();
                config
            })?;
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
        Command::Keygen { files } => keygen(&files)?,
        Command::Common(command) => command.run(program()).await?,
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

fn program() -> Program {
    Program {
        command: Cli::command(),
        settings: |settings| drop(Config::read(settings)),
        database_url: StoreConfig::database_url,
        server: Config::server,
        document,
    }
}

fn read<T>(read: impl FnOnce(&mut Settings) -> T) -> Result<T, SettingsError> {
    let mut settings = Settings::from_process();
    start_logging(&mut settings);
    let config = read(&mut settings);
    settings.finish()?;
    Ok(config)
}
