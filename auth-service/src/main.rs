//! The program: reads the command line and the settings, and runs one command.

use std::error::Error;
use std::process::ExitCode;

use auth_service::Calls;
use auth_service::access_keys::AccessKeys;
use auth_service::app;
use auth_service::cli::{Cli, Command, Console, exit_code, key_file, keygen, show_keys};
use auth_service::config::{Config, StoreConfig};
use clap::{CommandFactory, Parser};
use shared_service::operations::cli::{Program, read};
use shared_service::operations::document;
use shared_service::{Settings, ShutdownSignal, keep_private, serve};

#[actix_web::main]
async fn main() -> ExitCode {
    keep_private();
    exit_code("auth-service", Box::pin(run(Cli::parse().command.unwrap_or(Command::Serve))).await)
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Serve => {
            let stop = ShutdownSignal::listen()?;
            let config = read(Settings::from_process(), |settings| {
                let config = Config::read(settings);
                settings.log();
                config
            })?;
            let known = config.revocations.empty_list();
            serve(stop, async { Ok::<_, Box<dyn Error>>(vec![app::start(config, known).await?]) }).await?;
        }
        Command::Data(command) => command.run(Settings::from_process()).await?,
        Command::Keygen { algorithm: Some(algorithm), files } => match &files[..] {
            [] => key_file(&algorithm, None)?,
            [file] => key_file(&algorithm, Some(file))?,
            _ => return Err("a key goes into one file".into()),
        },
        Command::Keygen { algorithm: None, files } => keygen(&files)?,
        Command::Keys { jwks, pem } => {
            show_keys(&read(Settings::from_process(), AccessKeys::read)?, jwks, pem, &mut Console::of_process())?;
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
