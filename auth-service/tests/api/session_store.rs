//! The contract of `SessionStore`, and of `FailureStore` beside it, written once and run on every store.

mod failover;
mod guesses;
mod interleavings;
mod many;
mod outages;
mod owners;
mod races;
mod records;
mod revocations;
mod rules;

pub use self::records::{TAGS, index_of};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use auth_service::app::MIGRATIONS;
use auth_service::limits::{FailureStore, RedisFailures, SqlFailures};
use auth_service::redis::Redis;
use auth_service::sessions::{Label, RedisSessions, Rotation, Rules, Session, SessionId, SessionStore, SqlSessions};
use auth_service::sql::SqlStore;
use shared_service::database;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::busy::served;
use crate::database::{new_folder, server};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Durations so long that the real time of a test is negligible.
const RULES: Rules = Rules {
    refresh_ttl: Duration::from_hours(2),
    max_age: Duration::from_hours(5),
    grace: Duration::from_mins(10),
    access_ttl: Duration::from_mins(15),
};

#[derive(Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
    Redis,
    Cluster(&'static str),
}

/// The stores that a test can have: without the feature `all-tests`, `SQLite` alone.
const KINDS: &[Kind] =
    if cfg!(feature = "all-tests") { &[Kind::Sqlite, Kind::Postgres, Kind::Redis] } else { &[Kind::Sqlite] };
/// The SQL databases among `KINDS`.
const SQL: &[Kind] = if cfg!(feature = "all-tests") { &[Kind::Sqlite, Kind::Postgres] } else { &[Kind::Sqlite] };

/// A store whose clock the test sets, and one user of its own.
struct Stage {
    store: Arc<dyn SessionStore>,
    failures: Arc<dyn FailureStore>,
    skew_ms: Arc<AtomicI64>,
    user: String,
    database: Option<Database>,
}

impl Kind {
    async fn stage(self, rules: Rules) -> Stage {
        match self {
            Self::Redis => redis_stage(&redis_url(), rules),
            Self::Cluster(url) => redis_stage(url, rules),
            Self::Sqlite | Self::Postgres => self.sql_stage(rules).await.0,
        }
    }

    /// A stage, and its store as its concrete type.
    async fn sql_stage(self, rules: Rules) -> (Stage, Arc<SqlSessions>) {
        let skew_ms = Arc::new(AtomicI64::new(0));
        let database = self.database().await;
        let shared = SqlStore::open(database.pool.clone()).await.unwrap().with_skew(skew_ms.clone());
        let store = Arc::new(SqlSessions::on(shared.clone(), rules).await.unwrap());
        (
            Stage {
                store: store.clone(),
                failures: Arc::new(SqlFailures(shared)),
                skew_ms,
                user: new_user(),
                database: Some(database),
            },
            store,
        )
    }

    /// The same store, for an instance with other rules.
    async fn beside(self, stage: &Stage, rules: Rules) -> Arc<dyn SessionStore> {
        match self {
            Self::Redis => redis_stage(&redis_url(), rules).store,
            Self::Cluster(url) => redis_stage(url, rules).store,
            Self::Sqlite | Self::Postgres => {
                let pool = stage.database.as_ref().unwrap().pool.clone();
                Arc::new(SqlSessions::on(SqlStore::open(pool).await.unwrap(), rules).await.unwrap())
            }
        }
    }

    /// A new SQL database.
    async fn database(self) -> Database {
        let name = format!("sessions_{}", Uuid::new_v4().simple());
        let (url, folder) = match self {
            Self::Sqlite => {
                let folder = new_folder();
                (format!("sqlite://{}/{name}?mode=rwc", folder.display()), Some(folder))
            }
            Self::Postgres => (postgres_database(&name).await, None),
            Self::Redis | Self::Cluster(_) => panic!("Redis is no SQL database"),
        };
        Database { pool: database::open(&url, &MIGRATIONS, &[]).await.unwrap(), folder }
    }
}

/// An SQL database that is deleted with the test, or with the test's server.
struct Database {
    pool: database::Database,
    folder: Option<PathBuf>,
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.folder.as_ref().map(std::fs::remove_dir_all));
    }
}

fn redis_stage(url: &str, rules: Rules) -> Stage {
    let skew_ms = Arc::new(AtomicI64::new(0));
    let redis = Redis::open(url.parse().unwrap()).unwrap().with_skew(skew_ms.clone());
    let store = Arc::new(RedisSessions::on(redis.clone(), rules));
    Stage { store, failures: Arc::new(RedisFailures(redis)), skew_ms, user: new_user(), database: None }
}

fn new_user() -> String {
    Uuid::now_v7().to_string()
}

fn redis_url() -> String {
    server("TEST_REDIS_URL")
}

async fn postgres_database(name: &str) -> String {
    let server = server("TEST_POSTGRES_URL");
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// The label of most sessions.
fn label() -> Label {
    Label::new("Firefox", "192.0.2.7")
}

impl Stage {
    fn pass(&self, time: Duration) {
        self.skew_ms.fetch_add(ms(time), Ordering::Relaxed);
    }

    fn set_back(&self, time: Duration) {
        self.skew_ms.fetch_sub(ms(time), Ordering::Relaxed);
    }

    async fn open(&self) -> Session {
        undated(self.store.open(&self.user, label()).await.unwrap())
    }

    /// A new session, rotated to `generation`.
    async fn open_at(&self, generation: i64) -> Session {
        let mut session = self.open().await;
        while session.generation < generation {
            session = rotated(self.rotate(session.id, session.generation).await);
        }
        session
    }

    async fn rotate(&self, id: SessionId, presented: i64) -> Rotation {
        match self.store.rotate(&self.user, id, presented).await.unwrap() {
            Rotation::Rotated(session) => Rotation::Rotated(undated(session)),
            Rotation::Retried(session) => Rotation::Retried(undated(session)),
            other => other,
        }
    }

    async fn list(&self) -> Vec<Session> {
        self.store.list(&self.user, None, usize::MAX).await.unwrap().into_iter().map(undated).collect()
    }

    async fn assert_listed(&self, sessions: &[&Session]) {
        assert_eq!(self.list().await.iter().collect::<Vec<_>>(), sessions);
    }

    /// Asserts that no token of the session works, and that the session is not listed.
    async fn assert_gone(&self, id: SessionId) {
        for generation in 0..8 {
            assert_eq!(self.rotate(id, generation).await, Rotation::Unknown, "generation {generation}");
        }
        assert!(self.list().await.iter().all(|session| session.id != id), "an ended session is listed");
        assert!(!self.store.end(&self.user, id).await.unwrap(), "an ended session was ended again");
    }
}

/// A session without the date of its access token, which only the cases of `revocations` check.
fn undated(session: Session) -> Session {
    Session { issued_at: 0, issued_ahead: 0, is_user_revoked: false, ..session }
}

fn rotated(outcome: Rotation) -> Session {
    match outcome {
        Rotation::Rotated(session) => session,
        other => panic!("not rotated: {other:?}"),
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}

/// One test for each store and each case.
macro_rules! contract {
    ($($module:ident: $($case:ident)+;)+) => {
        contract!(#[doc = "Needs no server."] sqlite Sqlite $($module: $($case)+;)+);
        contract!(
            #[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
            postgres Postgres $($module: $($case)+;)+
        );
        contract!(
            #[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
            redis Redis $($module: $($case)+;)+
        );

        #[tokio::test]
        #[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
        async fn the_contract_holds_on_a_cluster() {
            let cluster = crate::redis_server::Cluster::start().await;
            let kind = Kind::Cluster(cluster.url().leak());
            $($(served(async || $module::$case(kind).await).await;)+)+
        }
    };
    (#[$needs:meta] $store:ident $kind:ident $($module:ident: $($case:ident)+;)+) => {
        mod $store {
            $($(
                #[tokio::test]
                #[$needs]
                async fn $case() {
                    super::served(async || super::$module::$case(super::Kind::$kind).await).await;
                }
            )+)+
        }
    };
}

contract! {
    rules:
        a_session_opens_at_the_first_generation
        current_generation_is_rotated
        generation_one_behind_is_retried_within_the_grace
        the_grace_does_not_slide
        a_clock_that_was_ahead_prolongs_no_grace
        grace_starts_again_with_each_rotation
        any_other_generation_is_reuse
        without_grace_generation_one_behind_is_reuse
        a_first_generation_has_none_before_it
        session_of_another_user_is_unknown_and_unchanged
        sessions_do_not_touch_each_other
        a_session_ends_once_and_for_good
        all_sessions_but_one_end
        a_session_ends_without_use
        use_keeps_a_session_but_not_beyond_its_end
        no_session_outlives_its_end
        an_expired_session_ends_for_every_clock
        live_sessions_are_listed_newest_first
        a_label_comes_back_as_it_was;
    many:
        a_login_at_the_bound_ends_the_session_unused_longest
        logins_at_once_stay_within_the_bound
        a_list_is_walked_page_by_page
        a_dead_session_that_is_excepted_stays_dead
        a_clock_that_was_ahead_locks_no_user_out
        a_reader_whose_clock_is_behind_lowers_no_not_before
        an_end_of_all_is_right_for_every_clock
        many_sessions_of_an_older_version_end_in_one_step
        a_login_brings_an_older_version_within_the_bound;
    revocations:
        each_end_is_listed_and_nothing_else
        a_cursor_gives_what_came_behind_it
        a_cursor_that_was_lost_gives_everything
        not_before_refuses_only_tokens_issued_before
        not_before_refuses_tokens_of_sessions_that_go_on
        signing_out_again_and_again_dates_no_token_far_ahead
        entry_outlives_the_last_token_that_it_revokes
        concurrent_ends_are_all_listed
        the_end_of_a_session_that_was_lost_is_listed_once
        a_shorter_life_of_tokens_ends_no_entry_early
        a_reader_whose_clock_is_ahead_for_a_while_reads_everything
        new_reader_gets_all_unexpired_entries;
    races:
        fifty_uses_of_one_generation_have_one_successor
        end_wins_over_concurrent_rotations
        end_of_all_wins_over_concurrent_rotations
        reuse_wins_over_concurrent_rotations
        one_of_concurrent_reuses_is_reported
        one_of_concurrent_ends_is_reported;
    guesses:
        each_failure_beyond_the_limit_doubles_the_wait
        success_resets_the_failures
        names_do_not_touch_each_other
        failures_are_forgotten_a_while_after_the_last_wait
        one_of_concurrent_attempts_after_a_wait_is_allowed
        concurrent_guesses_reveal_no_more_than_consecutive_ones
        concurrent_successes_are_all_revealed
        clock_set_back_bounds_the_wait;
}
