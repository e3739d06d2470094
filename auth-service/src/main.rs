//! The program: reads the command line and the settings, and does one thing.

use std::error::Error;
use std::process::ExitCode;

use auth_service::Calls;
use auth_service::access_keys::AccessKeys;
use auth_service::app::{self, Stores};
use auth_service::cli::{
    Cli, CliContext, CliError, Command, Console, TokenCommand, inspect, key_file, keygen, run_doctor, run_sessions,
    run_users, show_keys, unless_unread, verify,
};
use auth_service::config::{Config, StoreConfig};
use clap::{CommandFactory, Parser};
use shared_service::operations::cli::{Program, exit};
use shared_service::operations::document;
use shared_service::{Settings, SettingsError, ShutdownSignal, keep_private, serve, start_logging};

#[actix_web::main]
async fn main() -> ExitCode {
    keep_private();
    let done = Box::pin(run(Cli::parse().command.unwrap_or(Command::Serve))).await.or_else(unless_unread);
    let skipped = matches!(done.as_ref().map_err(|error| error.downcast_ref()), Err(Some(CliError::Skipped(..))));
    let code = exit("auth-service", done);
    if skipped { ExitCode::from(3) } else { code }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Serve => {
            let stop = ShutdownSignal::listen()?;
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
            let Stores { users, passwords, sessions, recovery, .. } = &stores;
            let context = CliContext { users, passwords, sessions: &**sessions, recovery: Some(recovery) };
            run_users(command, context, &mut Console::of_process()).await?;
        }
        Command::Sessions(command) => {
            let stores = app::open(read(StoreConfig::read)?).await?;
            run_sessions(command, &stores.users, &*stores.sessions, &mut Console::of_process()).await?;
        }
        Command::Token(TokenCommand::Inspect { token }) => inspect(&token, &mut Console::of_process())?,
        Command::Token(TokenCommand::Verify { token, audience }) => {
            verify(&token, &audience, &read(Config::read)?, &mut Console::of_process()).await?;
        }
        Command::Doctor => run_doctor(Settings::from_process(), &mut Console::of_process()).await?,
        Command::Keygen { algorithm: Some(algorithm), files } => match &files[..] {
            [] => key_file(&algorithm, None)?,
            [file] => key_file(&algorithm, Some(file))?,
            _ => return Err("a key goes into one file".into()),
        },
        Command::Keygen { algorithm: None, files } => keygen(&files)?,
        Command::Keys { jwks, pem } => {
            show_keys(&read(AccessKeys::read)?, jwks, pem, &mut Console::of_process())?;
        }
        Command::Common(command) => command.run(program()).await?,
    }
    Ok(())
}

fn program() -> Program {
    Program {
        command: Cli::command(),
        settings: |settings| drop(Config::read(settings)),
        database_url: StoreConfig::database_url,
        server: Config::server,
        document: document::<Calls>,
    }
}

fn read<T>(read: impl FnOnce(&mut Settings) -> T) -> Result<T, SettingsError> {
    let mut settings = Settings::from_process();
    start_logging(&mut settings);
    let config = read(&mut settings);
    settings.finish()?;
    Ok(config)
}
