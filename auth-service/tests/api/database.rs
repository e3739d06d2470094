//! New, empty databases on the servers that `./test` starts.

use std::path::PathBuf;
use std::thread;

use actix_web::rt::System;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use uuid::Uuid;

/// A new SQL database, deleted after the test.
pub struct Database {
    pub url: String,
    place: Place,
}

enum Place {
    Folder(PathBuf),
    Server {
        url: String,
        name: String,
    },
    /// A database that another process created and deletes.
    Elsewhere,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = new_folder();
        Self { url: format!("sqlite://{}/auth.db?mode=rwc", folder.display()), place: Place::Folder(folder) }
    }

    /// A database on `SQLite` and, with the feature `all-tests`, one on Postgres.
    pub async fn each() -> Vec<Self> {
        let mut each = vec![Self::sqlite()];
        if cfg!(feature = "all-tests") {
            each.push(Self::postgres().await);
        }
        each
    }

    pub async fn postgres() -> Self {
        let url = server("TEST_POSTGRES_URL");
        let name = format!("auth_{}", Uuid::new_v4().simple());
        execute(&url, &format!("CREATE DATABASE {name}")).await;
        let (server, _) = url.rsplit_once('/').unwrap();
        Self { url: format!("{server}/{name}"), place: Place::Server { url, name } }
    }

    /// The existing database at `url`, which is not deleted.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), place: Place::Elsewhere }
    }

    /// Runs `sql` on the database directly, without the service.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    pub async fn connect(&self) -> AnyConnection {
        connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match &self.place {
            Place::Folder(folder) => drop(std::fs::remove_dir_all(folder)),
            Place::Elsewhere => {}
            Place::Server { url, name } => {
                let (url, sql) = (url.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
                let dropping = thread::spawn(move || System::new().block_on(execute(&url, &sql)));
                drop(dropping.join());
            }
        }
    }
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn execute(url: &str, sql: &str) {
    let mut connection = connect(url).await;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A new folder, in memory if the system has `/dev/shm`: a hundred databases that sync to a busy disk are slow.
pub fn new_folder() -> PathBuf {
    let (memory, temporary) = (PathBuf::from("/dev/shm"), std::env::temp_dir());
    let place = if memory.is_dir() && !temporary.starts_with(&memory) { memory } else { temporary };
    let folder = place.join(format!("auth-{}", Uuid::new_v4().simple()));
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// The address of a server that `./test` starts.
#[expect(clippy::disallowed_methods, reason = "where the test's server is, is no setting of the service")]
pub fn server(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run ./test, or see CONTRIBUTING.md"))
}
