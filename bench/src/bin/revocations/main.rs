//! The cost of the revocation list, and the delay until a revocation takes effect. See `bench/README.md`.

/// Ended sessions that this program writes to the database of auth-service.
mod ended;
/// The cost of polling a revocation list that does not change.
mod idle;
/// The requests per second that a service answers at most.
mod load;
/// A look-up in the revocation list, as every request makes it.
mod look_up;
/// The services, each in its own process.
mod servers;
/// The time for which a token outlives its session.
mod soon;
/// The table of promises and figures.
mod table;
/// The time to read and to transfer the whole list.
mod transfer;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use reqwest::Client;

use crate::idle::{Auths, Books};
use crate::servers::Place;
use crate::table::Table;

/// The number of ended sessions that are still listed.
const ENDED: usize = 100_000;

#[derive(Debug, Parser)]
struct Options {
    /// The folder of auth-service and books-service
    #[arg(long)]
    programs: PathBuf,
    /// An empty folder
    #[arg(long)]
    folder: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Options { programs, folder } = Options::parse();
    let mut table = Table::default();
    let outcome = measure(&Place { programs, folder }, &mut table).await;
    // After an error, too: the figures up to then took minutes.
    print!("{table}");
    outcome?;
    let broken = table.broken();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n").into()) }
}

async fn measure(place: &Place, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let client = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
    table.extend(look_up::measure());

    let auths = Auths { empty: place.auth("auth-empty.db").await?, full: place.auth("auth-full.db").await? };
    ended::put(&place.folder.join("auth-full.db"), ENDED).await?;
    table.extend(transfer::measure(&client, &auths.full).await?);

    let unasked = idle::unasked(&auths).await?;
    let books = Books {
        alone: place.books("books-nobody.db", None).await?,
        empty: place.books("books-empty.db", Some(&auths.empty)).await?,
        full: place.books("books-full.db", Some(&auths.full)).await?,
    };
    table.extend(idle::measure(&auths, &unasked, &books).await?);

    table.extend([soon::measure(&client, &auths.full, &books.full).await?]);
    let token = soon::log_in(&client, &auths.full).await?.access;
    table.extend(load::measure(&books.alone, &books.full, &token).await?);
    Ok(())
}
