//! Both services in one process on embedded storage: `cargo run -p local-stack`. Missing settings get defaults.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

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
struct Cli {}

#[actix_web::main]
async fn main() -> ExitCode {
    keep_private();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-stack: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    Cli::parse();
    let stop = ShutdownSignal::listen()?;
    let mut settings = Settings::from_process();
    start_logging(&mut settings);
    let (auth, books) = local_stack::configs(&mut settings)?;
    settings.log();
    settings.finish()?;
    serve(stop, async {
        let demo_data = auth.demo_data;
        let scheme = if auth.server.tls.is_some() { "https" } else { "http" };
        // In one process, books-service shares the revocation list without a request.
        let known = auth.revocations.known();
        let auth = auth_service::app::start(auth, known.clone()).await?;
        let books = books_service::start(&books, Some(known)).await?;
        print!("{}", greeting(scheme, auth.addr(), books.addr(), demo_data));
        Ok(vec![auth, books])
    })
    .await
}

/// The addresses of both services, and a first command to try.
fn greeting(scheme: &str, auth: SocketAddr, books: SocketAddr, demo_data: bool) -> String {
    let [auth, books] = [auth, books].map(|addr| format!("{scheme}://localhost:{}", addr.port()));
    let addresses = format!("\nauth-service   {auth}\nbooks-service  {books}\n\n");
    if demo_data { addresses + &first_steps(&auth, &books) } else { addresses }
}

fn first_steps(auth: &str, books: &str) -> String {
    format!(
        r#"Log in, read, add a book; paste these into another terminal:

  TOKEN=$(curl -s {auth}/login -H 'Content-Type: application/json' -d '{{"username":"john","password":"password123admin"}}' | sed 's/.*"accessToken":"\([^"]*\)".*/\1/')
  curl -s {books}/books -H "Authorization: Bearer $TOKEN"
  curl -s {books}/books -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{"author":"Jane Austen","country":"United Kingdom","language":"English","pages":226,"title":"Pride and Prejudice","year":1813}}'

"#
    )
}
