//! Both services in one process on embedded storage: `cargo run --bin local-stack`. Missing settings get defaults.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use auth_service::cli::{DataCommand, exit_code};
use clap::Parser;
use shared_service::{Settings, ShutdownSignal, keep_private, serve, start_logging};

/// Both services in one process, their databases in files: for trying out, and while developing.
#[derive(Debug, Parser)]
#[command(
    name = "local-stack",
    version,
    after_help = "All settings come from the environment, or from .env: see .env.example. What is not set is made, secrets too; the \
    demo people are there unless DEMO_DATA=false. Both ports are open to this machine alone; their passwords are published, so \
    open them to every address only with\n\
    DEMO_DATA=false AUTH_ADDR=0.0.0.0:3000 BOOKS_ADDR=0.0.0.0:4000 local-stack"
)]
struct Cli {
    /// A command of auth-service, with the secrets and the database of local-stack; without one, both services start.
    #[command(subcommand)]
    command: Option<DataCommand>,
}

#[actix_web::main]
async fn main() -> ExitCode {
    keep_private();
    exit_code("local-stack", Box::pin(run(Cli::parse().command)).await)
}

async fn run(command: Option<DataCommand>) -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::from_process();
    if let Some(command) = command {
        local_stack::fill(&mut settings)?;
        return command.run(settings).await;
    }
    let stop = ShutdownSignal::listen()?;
    start_logging(&mut settings);
    let dir = local_stack::data_dir(&mut settings);
    let (auth, books) = local_stack::configs(&mut settings)?;
    settings.log();
    settings.finish()?;
    serve(stop, async {
        let demo_data = auth.demo_data;
        let scheme = if auth.server.tls.is_some() { "https" } else { "http" };
        // In one process, books-service shares the revocation list without a request.
        let known = auth.revocations.empty_list();
        let auth = Box::pin(auth_service::app::start(auth, known.clone())).await?;
        let books = books_service::start(&books, Some(known)).await?;
        let [auth_url, books_url] = [&auth, &books].map(|one| format!("{scheme}://localhost:{}", one.addr().port()));
        print!("{}", greeting(&auth_url, &books_url, &std::path::absolute(dir)?));
        if demo_data {
            print!("{}", first_steps(&auth_url, &books_url));
        }
        Ok(vec![auth, books])
    })
    .await
}

/// The greeting: the addresses, the folder of the data, and the command that adds an admin.
fn greeting(auth: &str, books: &str, dir: &Path) -> String {
    let (program, dir) = (std::env::args().next().unwrap_or_default(), dir.display());
    format!(
        "
auth-service   {auth}
books-service  {books}
API            {auth}/docs, {books}/docs
data           {dir}, secrets in secrets.env
a new admin    {program} users add NAME --role admin
"
    )
}

/// The demo users, and commands to try them with.
fn first_steps(auth: &str, books: &str) -> String {
    format!(
        r#"demo users     john / password123admin (admin), anna / password123member (member)

Log in, read, add a book; paste these into another terminal:

  TOKEN=$(curl -s {auth}/login -H 'Content-Type: application/json' -d '{{"username":"john","password":"password123admin"}}' | sed 's/.*"accessToken":"\([^"]*\)".*/\1/')
  curl -s {books}/books -H "Authorization: Bearer $TOKEN"
  curl -s {books}/books -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{"author":"Jane Austen","country":"United Kingdom","language":"English","pages":226,"title":"Pride and Prejudice","year":1813}}'

"#
    )
}
