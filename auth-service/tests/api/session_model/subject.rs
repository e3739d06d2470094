//! The real code, on a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use auth_service::config::Config;
use auth_service::grants::{Grants, Refused, TokenResponse};
use auth_service::passwords::PasswordHash;
use auth_service::redis::Redis;
use auth_service::sessions::{Label, RedisSessions, SessionStore, SqlSessions};
use auth_service::sql::SqlStore;
use auth_service::tokens::Tokens;
use auth_service::users::{Created, NewUser, UserChange, UserId};
use shared_claims::Role;
use shared_service::Settings;
use shared_service::clock::now_ms;
use shared_service::database::StoreError;

use super::{Flaw, Flawed, Rules};
use crate::database::server;
use crate::service::{ACCESS_SECRET, REFRESH_SECRET, new_name};
use crate::users;

/// A half minute in milliseconds.
pub const UNIT: i64 = 30_000;

const HASHES: [&str; 2] = [
    "fixed:$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK",
    "$2a$05$J5AksRWOrMDG6ocj3g1xguE71P77jF7lCdq9y4sbHdDAwcwjgVbHC",
];

#[derive(Clone, Copy)]
pub enum Place {
    Sqlite,
    Postgres,
    Redis,
    /// A store of the test's own, with one flaw or none.
    Memory(Option<Flaw>),
}

pub struct Subject {
    pub rules: Rules,
    pub sessions: Arc<dyn SessionStore>,
    /// The flaw of the layer before the store.
    pub flaw: Option<Flaw>,
    grants: Grants,
    skew_ms: Arc<AtomicI64>,
    sweeper: Option<Arc<SqlSessions>>,
    people: users::Stage,
}

impl Subject {
    pub async fn new(place: Place, rules: Rules) -> Self {
        let people = match place {
            Place::Postgres => users::Stage::postgres().await,
            _ => users::Stage::sqlite().await,
        };
        // Another admin, so that every other user may be demoted.
        people.add(&new_name(), None, Role::Admin).await;
        let time = |units: i64| Duration::from_millis((units * UNIT).unsigned_abs());
        let lives = auth_service::sessions::Rules {
            refresh_ttl: time(rules.ttl),
            max_age: time(rules.max_age),
            grace: time(rules.grace),
            access_ttl: Duration::from_mins(15),
        };
        let skew_ms = Arc::<AtomicI64>::default();
        let (mut sweeper, mut flaw) = (None, None);
        let sessions: Arc<dyn SessionStore> = match place {
            Place::Sqlite | Place::Postgres => {
                let store = SqlStore::open(people.pool.clone()).await.unwrap().with_skew(Arc::clone(&skew_ms));
                let sessions = Arc::new(SqlSessions::on(store, lives).await.unwrap().with_most(rules.most));
                sweeper = Some(Arc::clone(&sessions));
                sessions
            }
            Place::Redis => {
                let address = server("TEST_REDIS_URL").parse().unwrap();
                let redis = Redis::open(address).unwrap().with_skew(Arc::clone(&skew_ms));
                Arc::new(RedisSessions::on(redis, lives).with_most(rules.most))
            }
            Place::Memory(planted) => {
                flaw = planted;
                Arc::new(Flawed::new(planted, lives, rules.most, Arc::clone(&skew_ms)))
            }
        };
        let tokens = Tokens::new(&config(&rules)).unwrap();
        // The model does not cover the time at which a token is handed out.
        let grants = Grants::new(people.users.clone(), Arc::clone(&sessions), tokens).with_pause(Duration::ZERO);
        Self { rules, sessions, flaw, grants, skew_ms, sweeper, people }
    }

    /// Sets the clock to `units` after the start of the case, or a little later.
    pub fn set_clock(&self, units: i64) {
        self.skew_ms.store(units * UNIT, Ordering::Relaxed);
    }

    fn now_ms(&self) -> i64 {
        now_ms() + self.skew_ms.load(Ordering::Relaxed)
    }

    /// Adds a user; returns the id.
    pub async fn add(&self) -> String {
        let username = new_name().parse().unwrap();
        let new = NewUser { username, email: None, hash: hash(0), role: Role::Member };
        match self.people.users.create(new, now_ms()).await.unwrap() {
            Created::User(user) => user.id.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// The result of a login with the right password; `outdated` if the password changes meanwhile.
    pub async fn log_in(&self, user: &str, outdated: bool) -> Option<TokenResponse> {
        let id: UserId = user.parse().unwrap();
        let account = self.people.users.account(&id).await.unwrap()?;
        if outdated {
            let other = HASHES.iter().position(|text| *text != account.hash.as_stored()).unwrap();
            assert!(self.people.users.replace_hash(&id, &account.hash, &hash(other)).await.unwrap());
        }
        self.grants.open(account, Label::new("Firefox", "192.0.2.7")).await.unwrap()
    }

    pub async fn refresh(&self, token: &str) -> Result<TokenResponse, Refused> {
        self.grants.refresh(token, self.now_ms()).await
    }

    pub async fn log_out(&self, token: &str) -> Result<bool, StoreError> {
        self.grants.end([token], self.now_ms()).await.map(|ended| ended.is_some())
    }

    pub async fn change(&self, user: &str, change: &UserChange) {
        self.people.users.change(&user.parse().unwrap(), change).await.unwrap();
    }

    pub async fn delete(&self, user: &str) {
        self.people.users.delete(&user.parse().unwrap()).await.unwrap();
    }

    pub async fn sweep(&self) {
        if let Some(sweeper) = &self.sweeper {
            sweeper.sweep(3).await.unwrap();
        }
    }

    pub async fn close(self) {
        self.people.pool.close().await;
    }
}

fn hash(number: usize) -> PasswordHash {
    PasswordHash::parse(HASHES[number]).unwrap()
}

fn config(rules: &Rules) -> Config {
    let ttl = format!("{}s", rules.ttl * UNIT / 1000);
    let settings = [
        ("AUTH_DATABASE_URL", "sqlite://unused.db"),
        ("ACCESS_TOKEN_SECRET", ACCESS_SECRET),
        ("REFRESH_TOKEN_SECRET", REFRESH_SECRET),
        ("REFRESH_TOKEN_TTL", &ttl),
    ];
    let mut settings = Settings::from_pairs(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let config = Config::read(&mut settings);
    settings.finish().unwrap();
    config
}
