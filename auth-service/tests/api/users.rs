//! The store of users, on each database.

mod changes;
mod lists;

use std::path::PathBuf;

use auth_service::app;
use auth_service::limits::ClientNetwork;
use auth_service::passwords::{PasswordHash, Passwords};
use auth_service::users::{Created, NewUser, User, UserChange, UserId, Users};
use shared_claims::Role;
use shared_service::Total;
use shared_service::database::{self, Database, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::database::new_folder;

const NOW: i64 = 1_769_860_800_000;
const HASH: &str = "fixed:$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";
const OTHER_HASH: &str = "$2a$05$J5AksRWOrMDG6ocj3g1xguE71P77jF7lCdq9y4sbHdDAwcwjgVbHC";

/// A new database without users, deleted after the test.
pub struct Stage {
    pub users: Users,
    pub pool: Database,
    folder: Option<PathBuf>,
}

impl Stage {
    /// A stage on `SQLite` and, with the feature `all-tests`, one on Postgres.
    pub async fn each() -> Vec<Self> {
        let mut each = vec![Self::sqlite().await];
        if cfg!(feature = "all-tests") {
            each.push(Self::postgres().await);
        }
        each
    }

    pub async fn sqlite() -> Self {
        let folder = new_folder();
        let url = format!("sqlite://{}/users.db?mode=rwc", folder.display());
        Self::open(&url, Some(folder)).await
    }

    pub async fn postgres() -> Self {
        #[expect(clippy::disallowed_methods, reason = "it is a setting of the tests, not of the service")]
        let url = std::env::var("TEST_POSTGRES_URL")
            .expect("TEST_POSTGRES_URL is not set: run ./test, or see CONTRIBUTING.md");
        let name = format!("users_{}", Uuid::new_v4().simple());
        let mut server = PgConnection::connect(&url).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut server).await.unwrap();
        server.close().await.unwrap();
        let (server, _) = url.rsplit_once('/').expect("TEST_POSTGRES_URL ends with a database");
        Self::open(&format!("{server}/{name}"), None).await
    }

    async fn open(url: &str, folder: Option<PathBuf>) -> Self {
        let pool = database::open(url, &app::MIGRATIONS, &[]).await.unwrap();
        Self { users: Users::new(pool.clone()), pool, folder }
    }

    /// Opens all connections of the pool, so that concurrent calls do not wait for handshakes.
    pub async fn warm(&self) {
        let mut connections = Vec::new();
        for _ in 0..self.pool.connections() {
            connections.push(self.pool.begin().await.unwrap());
        }
    }

    /// Adds a user, whose name must be free.
    pub async fn add(&self, name: &str, email: Option<&str>, role: Role) -> User {
        match self.users.create(somebody(name, email, role), NOW).await.unwrap() {
            Created::User(user) => user,
            other => panic!("{name}: {other:?}"),
        }
    }

    async fn execute(&self, statement: &str) {
        sqlx::query(AssertSqlSafe(statement)).execute(&self.pool).await.unwrap();
    }

    async fn stored_hash(&self, id: &UserId) -> String {
        self.users.account(id).await.unwrap().unwrap().hash.as_stored().to_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.folder.as_ref().map(std::fs::remove_dir_all));
    }
}

fn somebody(name: &str, email: Option<&str>, role: Role) -> NewUser {
    let email = email.map(|email| email.parse().unwrap());
    NewUser { username: name.parse().unwrap(), email, hash: hash(HASH), role }
}

fn hash(stored: &str) -> PasswordHash {
    PasswordHash::parse(stored).unwrap()
}

#[tokio::test]
async fn a_user_is_found_as_they_were_added() {
    for stage in Stage::each().await {
        let anna = stage.add("Anna", Some("Anna@Example.org"), Role::Admin).await;
        let ben = stage.add("ben", None, Role::Member).await;
        assert_eq!(anna.username.as_str(), "anna");
        assert_eq!((anna.role, anna.disabled, anna.created_at), (Role::Admin, false, NOW));
        assert_eq!(Uuid::try_parse(&anna.id).unwrap().get_version_num(), 7);
        assert_eq!(stage.users.find(&anna.id).await.unwrap().as_ref(), Some(&anna));
        assert_eq!(stage.users.find(&ben.id).await.unwrap().as_ref(), Some(&ben));
        for (login, expected, why) in [
            ("anna", Some(&anna), "name"),
            ("ANNA", Some(&anna), "name in another case"),
            ("anna@example.org", Some(&anna), "email"),
            ("ANNA@example.ORG", Some(&anna), "email in another case"),
            ("ben", Some(&ben), "without an email"),
            ("carl", None, "nobody"),
            ("carl@example.org", None, "nobody's email"),
            (" anna\n", Some(&anna), "surrounding white space"),
            ("an\0na", None, "NUL"),
            ("", None, "nothing"),
        ] {
            let found = stage.users.account_by_login(login).await.unwrap();
            assert_eq!(found.as_ref().map(|account| &account.user), expected, "{why}");
            assert!(found.is_none_or(|account| account.hash == hash(HASH)), "{why}");
        }
        for id in ["", "1", "anna", "an\0na", "' OR 1=1 --"] {
            assert!(id.parse::<UserId>().is_err(), "{id:?}");
        }
        let id: UserId = "00000000-0000-7000-8000-000000000000".parse().unwrap();
        assert_eq!(stage.users.find(&id).await.unwrap(), None);
        assert!(stage.users.account(&id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn names_and_emails_are_unique() {
    for stage in Stage::each().await {
        stage.add("anna", Some("anna@example.org"), Role::Member).await;
        stage.add("ben", None, Role::Member).await;
        stage.add("carl", None, Role::Member).await;
        for (name, email, expected, why) in [
            ("anna", None, Created::UsernameTaken, "name"),
            ("ANNA", Some("other@example.org"), Created::UsernameTaken, "name in another case"),
            ("dora", Some("ANNA@example.org"), Created::EmailTaken, "email in another case"),
        ] {
            let made = stage.users.create(somebody(name, email, Role::Member), NOW).await.unwrap();
            assert_eq!(made, expected, "{why}");
        }
    }
}

#[tokio::test]
async fn one_of_fifty_concurrent_users_gets_the_name() {
    for stage in Stage::each().await {
        stage.warm().await;
        let mut race = JoinSet::new();
        for number in 0..50 {
            let users = stage.users.clone();
            let email = format!("anna{number}@example.org");
            race.spawn(async move { users.create(somebody("anna", Some(&email), Role::Member), NOW).await.unwrap() });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            race.join_all().await.into_iter().partition(|made| matches!(made, Created::User(_)));
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|made| *made == Created::UsernameTaken));
        assert_eq!(stage.users.page(1, None, None).await.unwrap().total, Total::Exactly(1));
    }
}

#[tokio::test]
async fn the_greatest_cost_is_known() {
    for stage in Stage::each().await {
        assert_eq!(stage.users.greatest_cost().await.unwrap(), None);
        let anna = stage.add("anna", None, Role::Member).await;
        stage.add("ben", None, Role::Member).await;
        assert_eq!(stage.users.greatest_cost().await.unwrap(), Some(4));
        let change = UserChange { hash: Some(hash(&OTHER_HASH.replace("$05$", "$13$"))), ..UserChange::default() };
        stage.users.change(&anna.id, &change).await.unwrap();
        assert_eq!(stage.users.greatest_cost().await.unwrap(), Some(13));
    }
}

#[tokio::test]
async fn corrupt_row_is_an_error() {
    for stage in Stage::each().await {
        let anna = stage.add("anna", None, Role::Member).await;
        for (statement, why) in [
            ("UPDATE users SET role = 'owner'", "a role of a newer version"),
            ("UPDATE users SET role = 'member', password_hash = 'Password@123'", "plain text"),
        ] {
            stage.execute(statement).await;
            let found = stage.users.account(&anna.id).await.map(drop);
            assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{why}: {found:?}");
            assert!(!found.unwrap_err().to_string().contains("Password@123"), "{why}");
        }
    }
}

#[tokio::test]
async fn demo_people_are_added_once() {
    for stage in Stage::each().await {
        stage.warm().await;
        let mut race = JoinSet::new();
        for _ in 0..4 {
            let users = stage.users.clone();
            race.spawn(async move { users.seed_demo(&passwords(), true, NOW).await.unwrap() });
        }
        race.join_all().await;
        let people = stage.users.page(10, None, None).await.unwrap().items;
        let mut roles: Vec<_> = people.iter().map(|user| (user.username.as_str(), user.role)).collect();
        roles.sort_by_key(|(name, _)| *name);
        assert_eq!(roles, [("anna", Role::Member), ("john", Role::Admin)]);
        let john = stage.users.account_by_login("john").await.unwrap().unwrap();
        let right = passwords().verify(ClientNetwork::default(), "password123admin", &john.hash).await.unwrap();
        assert!(right.is_some());

        assert!(stage.users.replace_hash(&john.user.id, &john.hash, &hash(HASH)).await.unwrap());
        stage.users.seed_demo(&passwords(), true, NOW).await.unwrap();
        assert_eq!(stage.stored_hash(&john.user.id).await, HASH, "a changed password stays");
        assert_eq!(stage.users.page(10, None, None).await.unwrap().total, Total::Exactly(2));
        let anna = stage.users.account_by_login("anna").await.unwrap().unwrap();
        stage.users.delete(&anna.user.id).await.unwrap();
        stage.users.seed_demo(&passwords(), true, NOW).await.unwrap();
        assert_eq!(
            stage.users.page(10, None, None).await.unwrap().total,
            Total::Exactly(1),
            "a deleted user is not added again"
        );
    }
}

/// At the lowest cost, so that tests are fast.
pub fn passwords() -> Passwords {
    Passwords::start(4, None).unwrap()
}
