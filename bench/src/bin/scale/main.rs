//! Lists, searches, imports, sessions and revocations with a chosen amount of data. See `bench/README.md`.

#![expect(clippy::disallowed_methods, reason = "each client is a thread that may sleep; new rows need the wall clock")]

/// auth-service: users, sessions, revocations.
mod auth;
/// books-service: import, lists, searches beside other calls.
mod books;
/// Books and users that are the same in each run.
mod data;
/// Requests over plain sockets.
#[path = "../rates/load.rs"]
#[expect(dead_code, reason = "rates uses the rest")]
mod load;
/// A look-up in the revocation list.
#[path = "../revocations/look_up.rs"]
mod look_up;
/// The facts of the machine.
#[path = "../rates/machine.rs"]
mod machine;
/// The first start of a newer version on an older database.
mod migrate;
/// The services, and their databases.
mod place;
/// Servers on the first core.
#[path = "../rates/servers.rs"]
#[expect(dead_code, reason = "rates uses the rest")]
mod servers;
/// Goals and figures.
#[path = "../revocations/table.rs"]
mod table;
/// Response times.
mod times;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

use crate::place::{Place, Store};
use crate::table::Table;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Options {
    /// The folder of auth-service and books-service
    #[arg(long)]
    programs: PathBuf,
    /// An empty folder
    #[arg(long)]
    folder: PathBuf,
    /// The number of books, of sessions and of revocations
    #[arg(long, default_value_t = 1_000_000)]
    size: u32,
    /// The number of users
    #[arg(long, default_value_t = 100_000)]
    users: u32,
    /// A Postgres server in which databases may be created; without it, only `SQLite` is measured
    #[arg(long)]
    postgres: Option<String>,
    /// Do not measure `SQLite`
    #[arg(long, requires = "postgres")]
    only_postgres: bool,
    /// Measure only this part: books or auth
    #[arg(long)]
    only: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let mut broken = Vec::new();
    println!("{} books, sessions and revocations, {} users\n\n{}", options.size, options.users, machine::facts());
    let mut stores = if options.only_postgres { Vec::new() } else { vec![Store::Sqlite] };
    stores.extend(options.postgres.clone().map(Store::Postgres));
    for store in stores {
        let place = Place { programs: &options.programs, folder: &options.folder, store };
        let mut table = Table::default();
        let outcome = measure(&options, &place, &mut table).await;
        // After an error, too: the figures up to then count.
        println!("\n{}\n\n{table}", place.store.name());
        outcome?;
        broken.extend(table.broken());
    }
    println!("{}", machine::facts());
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n").into()) }
}

async fn measure(options: &Options, place: &Place<'_>, table: &mut Table) -> Result<(), Failure> {
    if options.only.as_deref() != Some("auth") {
        books::measure(place, options.size, table).await?;
    }
    if options.only.as_deref() != Some("books") {
        auth::measure(place, options.size, options.users, table).await?;
        if matches!(place.store, Store::Sqlite) {
            table.extend(look_up::measure());
        }
    }
    Ok(())
}
