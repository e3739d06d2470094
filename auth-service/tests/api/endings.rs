//! A change that takes rights away ends the sessions, even if a process or store fails between the two stores.

mod resets;

use std::io::{Cursor, sink};
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_service::app;
use auth_service::cli::{CliContext, Console, Named, UsersCommand, run_users};
use auth_service::config::StoreConfig;
use auth_service::users::{UserChange, Users};
use serde_json::json;
use shared_claims::Role;
use shared_service::{Settings, database};
use sqlx::{AnyConnection, Executor};
use tokio::time::sleep;

use crate::answer::Answer;
use crate::caller::Caller;
use crate::database::Database;
use crate::redis_server::{Redis, until};
use crate::service::{GOOD, Person, Service, TokenPair};
use crate::session_store::index_of;

const NEW: &str = "Mz4?tuRnip-9";
/// Long enough for a call to reach the point where it waits for its turn.
const WAITING: Duration = Duration::from_millis(300);
/// The time after the session store's return within which all endings are completed.
const IN_TIME: Duration = Duration::from_secs(2);

const SOURCES: [&str; 7] =
    ["disable", "password by an admin", "role change", "sign-out by an admin", "delete", "password change", "leave"];

impl Service {
    /// This service with callers that do not retry a 503.
    fn impatient(mut self) -> Self {
        self.patience = 0;
        self
    }
}

async fn change(source: &str, root: &Caller<'_>, person: &Person) -> Answer {
    let (me, user) = (root.service.bearer(&person.pair.access), format!("/users/{}", person.id));
    match source {
        "disable" => root.patch(&user, &json!({"disabled": true})).await,
        "password by an admin" => root.patch(&user, &json!({"password": NEW})).await,
        "role change" => root.patch(&user, &json!({"role": "admin"})).await,
        "sign-out by an admin" => root.delete(&format!("{user}/sessions")).await,
        "delete" => root.delete(&user).await,
        "password change" => me.put("/me/password", &json!({"currentPassword": GOOD, "newPassword": NEW})).await,
        "leave" => me.delete_with("/me", &json!({"currentPassword": GOOD})).await,
        other => panic!("{other}"),
    }
}

/// A lock that blocks every change of a user until [`Self::release`].
struct Hold(AnyConnection);

impl Hold {
    async fn new(database: &Database) -> Self {
        let mut connection = database.connect().await;
        let begin = if database.url.starts_with("sqlite") { "BEGIN IMMEDIATE" } else { "BEGIN" };
        connection.execute(begin).await.unwrap();
        connection.execute("UPDATE users_turn SET turn = turn + 1").await.unwrap();
        Self(connection)
    }

    async fn release(mut self) {
        self.0.execute("COMMIT").await.unwrap();
    }
}

/// Makes a change whose transaction is committed while Redis is down, and returns the tokens of a login just before it.
async fn half_done(
    service: &Service,
    redis: &mut Redis,
    source: &str,
    root: &Caller<'_>,
    person: &mut Person,
) -> TokenPair {
    // On a busy machine the change may give up before it has its turn.
    for _ in 0..10 {
        let hold = Hold::new(&service.database).await;
        let (answer, pair) = tokio::join!(change(source, root, person), async {
            sleep(WAITING).await;
            let pair = service.log_in((&person.name, GOOD)).await;
            redis.stop();
            hold.release().await;
            pair
        });
        answer.fails(503, "unavailable");
        let committed = is_committed(&service.database, &person.id).await;
        redis.start_again().await;
        until("the session store is back", async || service.nobody().get("/readyz").await.status == 200).await;
        if committed {
            return pair;
        }
        // `DELETE /me` ends the sessions before it waits.
        person.pair = service.log_in((&person.name, GOOD)).await;
    }
    panic!("{source} was never committed")
}

/// True if a change of this user is committed, which may happen shortly after the call has given up.
async fn is_committed(database: &Database, user: &str) -> bool {
    let mut connection = database.connect().await;
    for _ in 0..20 {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM endings WHERE user_id = $1").bind(user);
        if count.fetch_one(&mut connection).await.unwrap() > 0 {
            return true;
        }
        sleep(WAITING / 6).await;
    }
    false
}

/// Waits until `token` is refused as one whose session has ended.
async fn refused(service: &Service, token: &str) {
    let refused = async || service.bearer(token).get("/me").await.body.contains("The session has ended");
    until("the token is refused", refused).await;
}

async fn left(database: &Database) -> i64 {
    let mut connection = database.connect().await;
    sqlx::query_scalar("SELECT count(*) FROM endings").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn ending_that_cannot_be_completed_holds_up_no_other() {
    let redis = Redis::start().await;
    let service = Service::start([("REDIS_URL", redis.url().as_str()), ("REVOCATION_POLL", "200ms")]).await;
    let [stuck, other] = [service.newcomer().await, service.newcomer().await];
    redis.ask::<()>(&format!("SET {} none", index_of(&stuck.id))).await;
    for (id, person) in [("1", &stuck), ("2", &other)] {
        let ending = format!("INSERT INTO endings VALUES ('{id}', '{}', 0, '')", person.id);
        service.database.execute(&ending).await;
    }
    refused(&service, &other.pair.access).await;
    until("its own is left", async || left(&service.database).await == 1).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn change_whose_process_died_is_completed_by_the_next() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    for database in Database::each().await {
        let service = Service::start_on(database, [("REDIS_URL", url.as_str())]).await;
        let (root, mut people) = (service.admin().await.headers, Vec::new());
        for _ in SOURCES {
            people.push(service.newcomer().await);
        }
        let service = service.impatient();
        let root = Caller { service: &service, headers: root };
        let mut ended = Vec::new();
        for (source, mut person) in SOURCES.into_iter().zip(people) {
            println!("{source}");
            let pair = half_done(&service, &mut redis, source, &root, &mut person).await;
            ended.push((source, person, pair));
        }
        assert_eq!(left(&service.database).await, 7, "every ending is left to the next instance");
        let database = Arc::clone(&service.database);
        drop(root);
        drop(service);

        let next = Service::start_on(database, [("REDIS_URL", url.as_str()), ("REVOCATION_POLL", "1s")]).await;
        let began = Instant::now();
        for (_, _, pair) in &ended {
            refused(&next, &pair.access).await;
        }
        assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
        for (source, person, pair) in ended {
            next.refresh(&pair.refresh).await.is(if source == "role change" { 200 } else { 403 });
            if source == "password change" {
                next.refresh(&person.pair.refresh).await.is(200);
            }
        }
        until("nothing is left", async || left(&next.database).await == 0).await;
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn change_is_completed_by_any_instance_when_the_session_store_is_back() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    for database in Database::each().await {
        let first = Service::start_on(database, [("REDIS_URL", url.as_str())]).await;
        let mut people = [first.newcomer().await, first.newcomer().await];
        let root = first.admin().await.headers;
        let first = first.impatient();
        let root = Caller { service: &first, headers: root };
        let polled = [("REDIS_URL", url.as_str()), ("REVOCATION_POLL", "100ms")];
        let start = || Service::start_on(Arc::clone(&first.database), polled);
        let others = [start().await, start().await];
        for person in &mut people {
            half_done(&first, &mut redis, "disable", &root, person).await;
        }
        let back = Instant::now();
        until("nothing is left", async || left(&first.database).await == 0).await;
        assert!(back.elapsed() < IN_TIME, "{:?}", back.elapsed());
        for person in &people {
            first.refresh(&person.pair.refresh).await.fails(403, "invalid_refresh_token");
        }
        for other in &others {
            for person in &people {
                refused(other, &person.pair.access).await;
            }
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn late_ending_spares_sessions_opened_after_the_change() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    for database in Database::each().await {
        let service = Service::start_on(database, [("REDIS_URL", url.as_str())]).await;
        let (root, mut person) = (service.admin().await.headers, service.newcomer().await);
        let mut service = service.impatient();
        let root = Caller { service: &service, headers: root };
        let old = half_done(&service, &mut redis, "disable", &root, &mut person).await;
        service.patience = 10;
        let users = Users::new(database::open(&service.database.url, &app::MIGRATIONS, &[]).await.unwrap());
        users
            .change(&person.id.parse().unwrap(), &UserChange { disabled: Some(false), ..UserChange::default() })
            .await
            .unwrap();
        assert_eq!(left(&service.database).await, 1, "the ending is still pending");
        let new = service.log_in((&person.name, GOOD)).await;
        service.refresh(&old.refresh).await.fails(403, "invalid_refresh_token");

        let polled = [("REDIS_URL", url.as_str()), ("REVOCATION_POLL", "20ms")];
        let other = Service::start_on(Arc::clone(&service.database), polled).await;
        refused(&other, &old.access).await;
        sleep(WAITING).await;
        other.bearer(&new.access).get("/me").await.is(200);
        other.refresh(&new.refresh).await.is(200);
    }
}

/// While a login completes the first of two endings, another instance completes the second, and a session may open.
#[tokio::test]
async fn ending_completed_by_another_instance_ends_nothing_again() {
    let service = Service::start([]).await;
    let person = service.newcomer().await;
    for (id, tokens_only) in [("1", 1), ("2", 0)] {
        let ending = format!("INSERT INTO endings VALUES ('{id}', '{}', {tokens_only}, '')", person.id);
        service.database.execute(&ending).await;
    }
    let other = "CREATE TRIGGER other AFTER DELETE ON endings BEGIN DELETE FROM endings WHERE id = '2'; END";
    service.database.execute(other).await;
    service.log_in((&person.name, GOOD)).await;
    service.refresh(&person.pair.refresh).await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn change_tried_again_is_answered_as_the_first_time() {
    let mut redis = Redis::start().await;
    let service = Service::start([("REDIS_URL", &redis.url())]).await;
    let root = service.admin().await;
    for (source, status) in [("disable", 200), ("role change", 200), ("sign-out by an admin", 204)] {
        let person = service.newcomer().await;
        let hold = Hold::new(&service.database).await;
        let (first, ()) = tokio::join!(change(source, &root, &person), async {
            sleep(WAITING).await;
            redis.stop();
            hold.release().await;
            sleep(WAITING).await;
            redis.start_again().await;
        });
        // The caller retried after a 503, as `Retry-After` said.
        first.is(status);
        assert_eq!(left(&service.database).await, 0, "{source}");
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn change_by_a_command_is_completed_by_a_running_service() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    let service = Service::start([("REDIS_URL", url.as_str()), ("REVOCATION_POLL", "100ms")]).await;
    let settings = [("AUTH_DATABASE_URL", service.database.url.as_str()), ("REDIS_URL", &url), ("BCRYPT_COST", "4")];
    let stores = app::open(StoreConfig::read(&mut Settings::from_pairs(settings))).await.unwrap();
    let (users, passwords, sessions) = (&stores.users, &*stores.passwords, &*stores.sessions);
    let context = CliContext { users, passwords, sessions, recovery: None };
    let commands: [fn(String) -> UsersCommand; 3] = [
        |name| UsersCommand::Disable(Named { name }),
        |name| UsersCommand::SetPassword(Named { name }),
        |name| UsersCommand::SetRole { name, role: Role::Admin },
    ];
    for command in commands {
        let person = service.newcomer().await;
        let command = command(person.name.clone());
        println!("{command:?}");
        redis.stop();
        let mut console = Console::piped(Cursor::new(NEW.to_owned()), sink());
        let why = run_users(command, context, &mut console).await.unwrap_err().to_string();
        assert!(why.contains("a running service"), "{why}");
        redis.start_again().await;
        let back = Instant::now();
        refused(&service, &person.pair.access).await;
        assert!(back.elapsed() < IN_TIME, "{:?}", back.elapsed());
    }
}
