//! Stores over TLS: Redis with certificates of the test's own authority, and the Postgres that `./test` starts.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{Desk, Served};
use crate::database::Database;
use crate::redis_server::{Redis, until};

/// Creates a certificate authority and its certificate for `localhost`, as files in `folder`.
fn certify(folder: &Path) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
            -keyout authority.key -out authority.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout redis.key -out redis.csr
        printf 'subjectAltName=DNS:localhost' >names
        openssl x509 -req -in redis.csr -CA authority.pem -CAkey authority.key -days 2 -extfile names -out redis.pem";
    let openssl = Command::new("sh").args(["-euc", script]).current_dir(folder).stderr(Stdio::null()).status();
    assert!(openssl.unwrap().success());
}

async fn status(service: &Served) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(service.url("/readyz")).send().await.unwrap().status().as_u16()
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis and OpenSSL: ./test")]
async fn redis_over_tls_needs_a_valid_certificate() {
    let desk = Desk::new();
    certify(&desk.folder);
    let file = |name: &str| desk.folder.join(name).display().to_string();
    let redis = Redis::with_tls(&file("redis.pem"), &file("redis.key")).await;
    let url = format!("rediss://localhost:{}", redis.port());

    let trusting = Desk::new().set("REDIS_URL", &url).set("SSL_CERT_FILE", &file("authority.pem"));
    let service = trusting.serve();
    until("it is ready", async || status(&service).await == 200).await;

    let doubting = Desk::new().set("REDIS_URL", &url);
    let service = doubting.serve();
    until("it has tried", async || status(&service).await == 503).await;
    service.signal(Signal::TERM);
    let (code, log) = service.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the session store is unavailable") && log.contains("certificate"), "{log}");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn postgres_over_tls_follows_sslmode() {
    let database = Database::postgres().await;
    let on = |mode: &str| Desk::new().set("AUTH_DATABASE_URL", &format!("{}?sslmode={mode}", database.url));
    let service = on("require").serve();
    assert_eq!(status(&service).await, 200);
    let mut connection = database.connect().await;
    let ours = "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (all, encrypted): (i64, i64) = sqlx::query_as(ours).fetch_one(&mut connection).await.unwrap();
    assert!(all > 0 && all == encrypted, "{encrypted} of {all} connections are encrypted");
    drop(service);

    let ended = on("verify-full").run(&[], "").is(1);
    assert!(ended.err.contains("certificate"), "the certificate is not trusted: {ended:?}");
}
