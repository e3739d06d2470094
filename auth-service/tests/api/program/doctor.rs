use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Desk, Ended};
use crate::database::{Database, server};
use crate::redis_server::{Cluster, Redis, Watched};
use crate::service::{ACCESS_SECRET, REFRESH_SECRET};

/// The messages about `what` with the status `verdict`.
fn said(ended: &Ended, verdict: &str, what: &str) -> Vec<String> {
    let lines = ended.out.lines().filter_map(|line| line.strip_prefix(verdict)?.trim_start().strip_prefix(what));
    lines.map(|line| line.trim().to_owned()).collect()
}

fn examine(desk: &Desk, code: i32) -> Ended {
    let ended = desk.run(&["doctor"], "").is(code);
    for secret in [ACCESS_SECRET, REFRESH_SECRET, "hush-hush"] {
        assert!(!format!("{ended:?}").contains(secret), "{ended:?}");
    }
    ended
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn doctor_of_a_healthy_service_has_no_warning() {
    let (database, redis) = (Database::postgres().await, Redis::start().await);
    let desk = Desk::new().set("AUTH_DATABASE_URL", &database.url).set("REDIS_URL", &redis.url());
    let desk = desk.set("ACCESS_TOKEN_SECRET_PREVIOUS", "an access secret of last year, of 32 bytes and more");
    let service = desk.serve();
    let desk = desk.set("AUTH_ADDR", &service.addr.to_string());
    let config = redis_cli(&redis, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert!(config.contains("OK"), "{config}");
    let ended = examine(&desk, 0);
    assert!(ended.out.lines().all(|line| line.starts_with("ok ")), "{}", ended.out);
    for part in [
        "none is wrong",
        "ACCESS_TOKEN_SECRET signs as kid ",
        "ACCESS_TOKEN_SECRET_PREVIOUS is kid ",
        "no REFRESH_TOKEN_SECRET_PREVIOUS",
        "is served already, and ready",
        "Postgres answers",
        "the database and this machine agree",
        "are applied",
        "no stored hash costs more than BCRYPT_COST",
        "answers, version ",
        "no published demo password opens an account",
        "(noeviction)",
        "(appendfsync always)",
        "a master without replicas",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
}

fn redis_cli(redis: &Redis, arguments: &[&str]) -> String {
    let port = redis.port().to_string();
    let cli = Command::new("redis-cli").args(["-p", &port]).args(arguments).stderr(Stdio::null()).output();
    String::from_utf8(cli.unwrap().stdout).unwrap()
}

#[test]
fn doctor_runs_every_check_if_all_fail() {
    // A server that accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let desk = Desk::bare()
        .set("AUTH_ADDR", &silent.to_string())
        .set("AUTH_DATABASE_URL", &format!("postgres://anna:hush-hush@{silent}/auth"))
        .set("REDIS_URL", &format!("redis://:hush-hush@{silent}"))
        .set("TLS_CERT", "nowhere.pem")
        .set("TLS_KEY", "nowhere.key")
        .set("BCRYPT_COST", "99");
    let began = Instant::now();
    let ended = examine(&desk, 1);
    assert!(began.elapsed() < Duration::from_secs(9), "each check has 2 s: {:?}", began.elapsed());
    for (what, part) in [
        ("settings", "BCRYPT_COST must be a number"),
        ("settings", "ACCESS_TOKEN_SECRET is not set"),
        ("secret", "REFRESH_TOKEN_SECRET is missing"),
        ("tls", "nowhere.pem"),
        ("address", "is taken by another program"),
        ("database", ""),
        ("redis", ""),
    ] {
        let found = said(&ended, "FAIL", what);
        assert!(found.iter().any(|line| line.contains(part)), "{what} {part}: {}", ended.out);
    }
    assert!(ended.err.ends_with("lines say FAIL\n"), "{ended:?}");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn doctor_names_each_problem() {
    let file = |name: &str| format!("sqlite://{name}?mode=rwc");
    let evicting = Redis::with(&["--maxmemory-policy", "allkeys-lru"]).await;
    let guarded = Redis::with(&["--requirepass", "right"]).await;
    let wrong = format!("redis://:hush-hush@{}", guarded.place());
    let limited = Redis::with(&["--user", "app", "on", ">right", "~*", "&*", "+@all", "-@dangerous"]).await;
    let limited = format!("redis://app:right@{}", limited.place());
    for (name, value, verdict, what, part) in [
        ("AUTH_DATABASE_URL", file("new.db"), "ok", "database", "the first start makes it"),
        ("AUTH_DATABASE_URL", "sqlite://new.db".to_owned(), "FAIL", "database", "with ?mode=rwc the start makes it"),
        ("AUTH_DATABASE_URL", file("no/such/auth.db"), "FAIL", "database", "its folder is not"),
        ("AUTH_DATABASE_URL", "mysql://host/db".to_owned(), "FAIL", "settings", "AUTH_DATABASE_URL must be"),
        (
            "AUTH_DATABASE_URL",
            server("TEST_POSTGRES_URL").replace("test:test", "test:hush-hush"),
            "FAIL",
            "database",
            "password authentication failed",
        ),
        (
            "AUTH_DATABASE_URL",
            "postgres://host/db?sslmode=require?password=hush-hush".to_owned(),
            "FAIL",
            "database",
            "something in its address is not understood",
        ),
        ("AUTH_ADDR", "192.0.2.1:3000".to_owned(), "FAIL", "address", "192.0.2.1:3000 cannot be had"),
        ("AUTH_METRICS_ADDR", "192.0.2.1:9100".to_owned(), "FAIL", "address", "192.0.2.1:9100, for metrics, cannot be"),
        (
            "AUTH_METRICS_ADDR",
            evicting.place(),
            "FAIL",
            "address",
            "for metrics, cannot be had: Address already in use",
        ),
        ("AUTH_METRICS_ADDR", "127.0.0.1:0".to_owned(), "ok", "address", "is free, for metrics"),
        ("REDIS_URL", format!("redis-cluster://{}", evicting.place()), "FAIL", "redis", "is no part of a Cluster"),
        ("REDIS_URL", evicting.url(), "warn", "redis", "maxmemory-policy allkeys-lru"),
        ("REDIS_URL", evicting.url(), "warn", "redis", "appendonly no"),
        ("REDIS_URL", wrong, "FAIL", "redis", "no answer from "),
        ("REDIS_URL", limited, "FAIL", "redis", "the user lacks a permission at "),
        ("REDIS_URL", "http://host".to_owned(), "FAIL", "redis", "not asked"),
    ] {
        let desk = Desk::new().set(name, &value);
        let ended = examine(&desk, i32::from(verdict == "FAIL"));
        assert!(said(&ended, verdict, what).iter().any(|line| line.contains(part)), "{value}: {}", ended.out);
        assert!(!desk.folder.join("new.db").exists(), "doctor creates no database");
    }
}

#[tokio::test]
async fn hash_of_a_high_cost_is_named_by_import_and_doctor() {
    let desk = Desk::new().set("BCRYPT_COST", "4");
    let hash = bcrypt::hash("correct horse battery", 6).unwrap();
    let people = format!(r#"{{"username":"ben","passwordHash":"{hash}"}}"#);
    let said = desk.run(&["users", "import", "-"], &people).is(0).out;
    assert!(
        said.contains("1 of the hashes have a bcrypt cost above BCRYPT_COST, up to 6: every failed login"),
        "{said}"
    );
    let ended = examine(&desk, 0);
    let found = self::said(&ended, "warn", "passwords");
    assert!(
        found.iter().any(|line| line.contains("bcrypt cost 6, and BCRYPT_COST is 4: every failed")),
        "{}",
        ended.out
    );
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn doctor_finds_the_masters_of_sentinels_and_clusters() {
    let (watched, cluster) = (Watched::start().await, Cluster::start().await);
    for (url, part) in [
        (watched.url(), format!("{} is a master, replicas: 2", watched.servers[0].place())),
        (cluster.url(), format!("{} is a master, replicas: 1", cluster.nodes[0].place())),
        (format!("redis://{}", watched.servers[1].place()), "is a replica and takes no writes".to_owned()),
        (watched.url().replace("mymaster", "nobody"), "no answer from the Sentinels of nobody".to_owned()),
    ] {
        let ended = Desk::new().set("REDIS_URL", &url).run(&["doctor"], "");
        assert!(ended.out.contains(&part), "{part}: {}", ended.out);
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn certificate_near_its_end_is_a_warning() {
    let desk = Desk::new().set("TLS_CERT", "tls.pem").set("TLS_KEY", "tls.key");
    for (days, verdict, part) in
        [("90", "ok", "good until"), ("36500", "ok", "good until 21"), ("3", "warn", "renew it, then send SIGHUP")]
    {
        let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
            -days $1 -keyout tls.key -out tls.pem";
        let mut openssl = Command::new("sh");
        openssl.args(["-euc", script, "sh", days]).current_dir(&desk.folder).stderr(Stdio::null());
        assert!(openssl.status().unwrap().success());
        let ended = examine(&desk, 0);
        assert!(said(&ended, verdict, "tls").iter().any(|line| line.contains(part)), "{days}: {}", ended.out);
    }
}
