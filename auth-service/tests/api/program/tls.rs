//! HTTPS in the process, with certificates of the tests' own authorities; the clients are curl and openssl.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{Desk, Ended, Served};
use crate::redis_server::until;

/// Creates in `folder` an authority `NAME-ca.pem`, and its certificate for `localhost`, `NAME.pem` and `NAME.key`.
fn certify(folder: &Path, name: &str) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$1-authority \
            -keyout $1-ca.key -out $1-ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout $1.key -out $1.csr
        printf 'subjectAltName=DNS:localhost' >$1.names
        openssl x509 -req -in $1.csr -CA $1-ca.pem -CAkey $1-ca.key -days 2 -extfile $1.names -out $1.pem";
    let openssl =
        Command::new("sh").args(["-euc", script, "sh", name]).current_dir(folder).stderr(Stdio::null()).status();
    assert!(openssl.unwrap().success());
}

fn show(desk: &Desk, name: &str) {
    for end in ["pem", "key"] {
        std::fs::copy(desk.folder.join(format!("{name}.{end}")), desk.folder.join(format!("shown.{end}"))).unwrap();
    }
}

/// `GET /livez` by a client that trusts the authority `authority` alone.
fn get(desk: &Desk, service: &Served, authority: &str, options: &[&str]) -> Ended {
    let port = service.addr.port();
    let mut curl = Command::new("curl");
    curl.current_dir(&desk.folder).args(["--silent", "--show-error", "--include", "--noproxy", "*", "--cacert"]);
    curl.arg(format!("{authority}-ca.pem")).arg("--resolve").arg(format!("localhost:{port}:127.0.0.1")).args(options);
    Ended::from(curl.arg(format!("https://localhost:{port}/livez")).output().unwrap())
}

fn https() -> (Desk, Served) {
    let desk = Desk::new().set("TLS_CERT", "shown.pem").set("TLS_KEY", "shown.key");
    certify(&desk.folder, "old");
    show(&desk, "old");
    let service = desk.serve();
    (desk, service)
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL and curl: ./test")]
fn a_certificate_makes_it_https_and_nothing_else() {
    let (desk, service) = https();
    for options in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"], &["--http2"]] {
        let answer = get(&desk, &service, "old", options).is(0).out.to_lowercase();
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(answer.contains("strict-transport-security: max-age=31536000"), "{answer}");
    }
    for (offered, chosen) in [("h2,http/1.1", "ALPN protocol: http/1.1"), ("h2", "alert no application protocol")] {
        let offer = format!("openssl s_client -connect {} -alpn {offered} </dev/null 2>&1", service.addr);
        let offer = Ended::from(Command::new("sh").args(["-c", &offer]).output().unwrap());
        assert!(offer.out.contains(chosen) && !offer.out.contains("protocol: h2"), "{offered}: {offer:?}");
    }
    let old = format!("openssl s_client -connect {} -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null", service.addr);
    let old = Ended::from(Command::new("sh").args(["-c", &old]).output().unwrap());
    assert!(old.err.contains("SSL alert number"), "TLS 1.1 is refused: {old:?}");
    let plain = Command::new("curl").args(["--silent", "--noproxy", "*", &service.url("/livez")]).output().unwrap();
    assert!(!plain.status.success() && plain.stdout.is_empty(), "{plain:?}");
    desk.run(&["healthcheck", &service.url("/readyz").replace("http:", "https:")], "").is(0);
    let own = Desk::bare().set("TLS_CERT", "a").set("TLS_KEY", "b");
    own.set("AUTH_ADDR", &format!("0.0.0.0:{}", service.addr.port())).run(&["healthcheck"], "").is(0);
    desk.run(&["healthcheck", &service.url("/readyz")], "").is(1);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL and curl: ./test")]
async fn hangup_loads_a_new_certificate_and_ignores_a_broken_one() {
    let (desk, service) = https();
    certify(&desk.folder, "new");
    get(&desk, &service, "new", &[]).is(60);
    show(&desk, "new");
    get(&desk, &service, "old", &[]).is(0);
    service.signal(Signal::HUP);
    until("the new one is shown", async || get(&desk, &service, "new", &[]).code == Some(0)).await;
    get(&desk, &service, "old", &[]).is(60);

    std::fs::write(desk.folder.join("shown.pem"), "no certificate").unwrap();
    service.signal(Signal::HUP);
    for _ in 0..20 {
        get(&desk, &service, "new", &[]).is(0);
    }
    service.signal(Signal::TERM);
    let (code, log) = service.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the certificate was read again"), "{log}");
    assert!(log.contains("the certificate stays as it was: shown.pem"), "{log}");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn unusable_form_of_a_key_is_refused_by_name() {
    let desk = Desk::new().set("TLS_CERT", "shown.pem").set("TLS_KEY", "shown.key");
    certify(&desk.folder, "one");
    for (made, cert, key, expected) in [
        ("pkcs8 -topk8 -passout pass:x -in one.key -out encrypted", "one.pem", "encrypted", "TLS_KEY is encrypted, "),
        ("ec -aes256 -passout pass:x -in one.key -out traditional", "one.pem", "traditional", "TLS_KEY is encrypted, "),
        ("pkey -outform DER -in one.key -out key.der", "one.pem", "key.der", "TLS_KEY is DER, not PEM: openssl pkey "),
        (
            "x509 -outform DER -in one.pem -out cert.der",
            "cert.der",
            "one.key",
            "TLS_CERT is DER, not PEM: openssl x509 ",
        ),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(made.split(' ')).current_dir(&desk.folder).stderr(Stdio::null());
        assert!(openssl.status().unwrap().success(), "{made}");
        for (from, to) in [(cert, "shown.pem"), (key, "shown.key")] {
            std::fs::copy(desk.folder.join(from), desk.folder.join(to)).unwrap();
        }
        let ended = desk.run(&[], "").is(1);
        assert!(ended.err.contains(&format!(": {expected}")), "{made}: {ended:?}");
        let ended = desk.run(&["doctor"], "").is(1);
        let line = ended.out.lines().find(|line| line.starts_with("FAIL  tls "));
        assert!(line.is_some_and(|line| line.contains(expected)), "{made}: {ended:?}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn unusable_certificate_stops_the_start() {
    let files = Desk::new();
    certify(&files.folder, "one");
    certify(&files.folder, "two");
    std::fs::write(files.folder.join("empty"), "").unwrap();
    for (cert, key, expected) in [
        (Some("one.pem"), None, "TLS_KEY is not set, but the other of"),
        (None, Some("one.key"), "TLS_CERT is not set, but the other of"),
        (Some("nowhere.pem"), Some("one.key"), "nowhere.pem: "),
        (Some("one.pem"), Some("nowhere.key"), "nowhere.key: "),
        (Some("empty"), Some("one.key"), "empty: holds no certificate"),
        (Some("one.pem"), Some("one.pem"), "one.pem: "),
        (Some("one.pem"), Some("two.key"), "two.key: "),
    ] {
        let mut desk = Desk::new();
        for (name, value) in [("TLS_CERT", cert), ("TLS_KEY", key)] {
            desk.settings.extend(value.map(|value| (name, files.folder.join(value).display().to_string())));
        }
        let ended = desk.run(&[], "").is(1);
        assert!(ended.err.contains(expected), "{expected}: {ended:?}");
    }
}
