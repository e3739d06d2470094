//! A ban that is half done when the process is killed.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection, Executor};
use tokio::time::{sleep, timeout};

use super::{Fleet, closed, newcomer};
use crate::process::Folder;
use crate::targets::is_outside;
use crate::tokens::claims;

/// A Redis of the test's own, which loses no write when it is killed.
struct Redis {
    process: Child,
    port: u16,
    folder: Folder,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = Folder::new();
        Self { process: Self::spawn(port, &folder), port, folder }
    }

    fn spawn(port: u16, folder: &Folder) -> Child {
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        server.args(["--port", &port.to_string(), "--dir"]).arg(folder.path()).stdout(Stdio::null()).spawn().unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The database commits a ban, Redis is killed before the sessions end there, and auth-service before it can retry.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn ban_interrupted_by_a_crash_reaches_books_service_in_time() {
    if is_outside("killing auth-service and its Redis") {
        return;
    }
    let mut redis = Redis::start();
    let (mut fleet, auth) = Fleet::start_on(format!("redis://127.0.0.1:{}", redis.port), 1).await;
    let addr = auth[0].strip_prefix("http://").unwrap().to_owned();
    let stack = fleet.library(&auth[0], &[]).await;
    let admin = stack.auth().bearer(stack.john().await.access);
    let (_, tokens) = newcomer(&stack).await;
    let user = format!("/users/{}", claims(&tokens.access)["sub"].as_str().unwrap());
    stack.books().bearer(&tokens.access).get("/books").await.is(200);

    // The ban has checked that Redis is available, and waits for the lock on the row of `users_turn`.
    let mut turn = fleet.databases[0].connect().await;
    turn.execute("BEGIN").await.unwrap();
    turn.execute("UPDATE users_turn SET turn = turn + 1").await.unwrap();
    let mut watch = fleet.databases[0].connect().await;
    let ban = async { drop(admin.try_call(Method::PATCH, &user, Some(json!({"disabled": true}))).await) };
    let deaths = async {
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watch).await.unwrap() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        redis.kill();
        let away = Instant::now();
        turn.execute("COMMIT").await.unwrap();
        let disabled = "SELECT count(*) FROM users WHERE disabled = 1";
        while sqlx::query_scalar::<_, i64>(disabled).fetch_one(&mut turn).await.unwrap() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        fleet.auth[0].signal(Signal::KILL);
        away
    };
    let ((), away) = timeout(Duration::from_secs(20), join(ban, deaths)).await.expect("the ban must be committed");
    drop(fleet.auth.pop());
    stack.books().bearer(&tokens.access).get("/books").await.is(200);

    redis.process = Redis::spawn(redis.port, &redis.folder);
    let (again, _) = fleet.instance("auth-service", &[("AUTH_ADDR", &addr)]).await;
    fleet.auth.push(again);
    // books-service polls again one second after the first failure, then after two, four and five seconds.
    let pause = if away.elapsed() < Duration::from_secs(3) { 0 } else { 5 };
    let took = closed(&stack, &tokens.access).await;
    assert!(took <= Duration::from_secs(2 + pause), "it took {took:?}");
    turn.close().await.unwrap();
    fleet.remove().await;
}
