//! Redis over TLS, with certificates of the test's own authority.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{Desk, Served};
use crate::redis_server::{Redis, until};

/// An authority, and a certificate of its for `localhost`, as files in `folder`.
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
async fn redis_is_spoken_to_over_tls_if_its_certificate_is_good() {
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
    assert!(log.contains("Redis cannot be reached") && log.contains("certificate"), "{log}");
}
