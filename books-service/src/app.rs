use std::error::Error;
use std::future::ready;

use actix_web::web::Data;
use shared_claims::{PollError, Poller, PublicKeys, Revocations};
use shared_service::database::{self, StoreError};
use shared_service::http::openapi::{docs, docs_at_root};
use shared_service::operations::document;
use shared_service::{AccessSettings, Metrics, Readiness, RevocationSettings, Running, bind, health};

use crate::Config;
use crate::books::{Books, Catalogue, demo_books, rekey};
use crate::page::page;
use crate::routes::{Calls, routes};

/// All migrations, in order.
pub const MIGRATIONS: [(&str, &str); 5] = [
    ("0001_books", include_str!("../migrations/0001_books.sql")),
    ("0002_search_keys", include_str!("../migrations/0002_search_keys.sql")),
    ("0003_total", include_str!("../migrations/0003_total.sql")),
    ("0004_book_text", include_str!("../migrations/0004_book_text.sql")),
    ("0005_text_positions", include_str!("../migrations/0005_text_positions.sql")),
];

/// Starts the service that `config` describes, as `main`, local-stack and the tests do. The service listens when this
/// returns, and serves once the result is awaited. `known` is the revocation list of an auth-service in this process;
/// without it, the list is polled from the address in `config`.
///
/// # Errors
/// A dependency cannot be used.
pub async fn start(config: &Config, known: Option<Revocations>) -> Result<Running, Box<dyn Error>> {
    let (revocations, keys) = tokio::try_join!(revocations(config, known), keys(config))?;
    let auth = AccessSettings { keys: keys.clone(), ..config.access.clone() }.bearer_auth("books-service")?;
    let auth = Data::new(match &revocations {
        Some(revocations) => auth.with_revocations(revocations.clone()),
        None => auth,
    });
    let books = open(&config.database_url).await?;
    books.count_again().await?;
    if config.demo_data {
        books.seed(demo_books()).await?;
    }
    // A service with a secret is ready without public keys.
    let required_keys = keys.clone().filter(|_| config.access.secret.is_none());
    let readiness = readiness(books.clone(), revocations.clone(), required_keys);
    let catalogue = Data::new(Catalogue::new(books));
    let mut metrics = Metrics::new(config.server.name, env!("CARGO_PKG_VERSION"), || ());
    if let Some(revocations) = &revocations {
        metrics = RevocationSettings::export(metrics, revocations);
    }
    if let Some(keys) = &keys {
        metrics = AccessSettings::shown(metrics, keys);
    }
    let docs = docs(document::<Calls>);
    let page = config.auth_public_url.as_deref().filter(|_| config.web).map(page);
    let service = bind(&config.server, metrics, move |app| {
        // The order matters: actix-web compares a request with the paths one after the other.
        app.app_data(auth.clone()).app_data(catalogue.clone()).configure(routes);
        app.configure(health(&readiness)).configure(docs.clone());
        match &page {
            Some(page) => app.configure(page),
            None => app.configure(docs_at_root),
        };
    });
    Ok(service?)
}

/// The revocation list: `known`, or the polled one; `None` without an address.
async fn revocations(config: &Config, known: Option<Revocations>) -> Result<Option<Revocations>, PollError> {
    let Some(url) = &config.auth_url else { return Ok(known) };
    let RevocationSettings { poll, max_age } = config.revocations;
    Poller { poll, max_age, ..Poller::new(url) }.start().await.map(Some)
}

/// The public keys for access tokens: those of this process, or those polled from the address in `config`.
async fn keys(config: &Config) -> Result<Option<PublicKeys>, PollError> {
    let Some(url) = &config.jwks_url else { return Ok(config.access.keys.clone()) };
    let RevocationSettings { poll, max_age } = config.revocations;
    let has_secret = config.access.secret.is_some();
    Poller { poll, max_age, has_secret, ..Poller::new(url) }.keys().await.map(Some)
}

/// Opens and migrates the database of books; the service may run meanwhile.
///
/// # Errors
/// The database cannot be opened.
pub async fn open(database_url: &str) -> Result<Books, StoreError> {
    Ok(Books::new(database::open(database_url, &MIGRATIONS, &[(2, rekey)]).await?))
}

fn readiness(books: Books, revocations: Option<Revocations>, keys: Option<PublicKeys>) -> Readiness {
    let mut readiness =
        Readiness::default().with("database", books, |books| async move { books.revision().await.map(drop) });
    let was_read = |is_read: bool, why: &'static str| ready(is_read.then_some(()).ok_or(why));
    if let Some(keys) = keys {
        let why = "no set of public keys was read yet; is its address right?";
        readiness = readiness.with("keys", keys, move |keys| was_read(keys.age().is_some(), why));
    }
    if let Some(list) = revocations {
        // Before the first list, tokens revoked before the start would be accepted.
        let why = "no list was read yet; is AUTH_URL right?";
        readiness = readiness.with("revocations", list, move |list| was_read(list.is_read(), why));
    }
    readiness
}
