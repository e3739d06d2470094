use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared_claims::Poller;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;

use crate::teller::Teller;
use crate::wire::session;

/// The variable that gives the child process its URL: a test cannot change its own environment safely.
const URL: &str = "TEST_FOLLOW_URL";

/// Writes a certificate authority, its certificate for `localhost` and a second authority to files.
fn certify() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("follow-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = "
        for name in authority other; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$name \
                -keyout $name.key -out $name.pem
        done
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout auth.key -out auth.csr
        printf 'subjectAltName=DNS:localhost' >names
        openssl x509 -req -in auth.csr -CA authority.pem -CAkey authority.key -days 2 -extfile names -out auth.pem";
    let openssl = Command::new("sh").args(["-euc", script]).current_dir(&folder).stderr(Stdio::null()).status();
    assert!(openssl.unwrap().success());
    folder
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(folder.join("auth.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("auth.key")).unwrap();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()))
}

/// Runs `in_a_process_of_its_own` in a child process that trusts the authorities in `roots`.
async fn follow(url: &str, roots: PathBuf) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "encryption::in_a_process_of_its_own", "--nocapture"]);
    child.env(URL, url).env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
    spawn_blocking(move || child.output().unwrap()).await.unwrap()
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn https_is_followed_where_the_certificate_is_good() {
    let folder = certify();
    let teller = Teller::encrypted(&[session("s-1", u64::MAX)], acceptor(&folder)).await;
    for (roots, url, expected, why) in [
        ("authority.pem", &*teller.url, "1 known", "its authority is trusted"),
        ("other.pem", &teller.url, "0 known", "another authority is trusted"),
        ("authority.pem", &teller.url.replace("localhost", "127.0.0.1"), "0 known", "its name is another"),
        ("none.pem", &teller.url, "SSL_CERT_FILE", "nobody is trusted"),
    ] {
        let child = follow(url, folder.join(roots)).await;
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains(expected), "{why}: {said}");
    }
    assert!(teller.asked().iter().any(|asked| asked.after.is_none()));
    std::fs::remove_dir_all(folder).unwrap();
}

/// The child process of the test above; without its variable it does nothing.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "no service: a test that is told what to do by another")]
async fn in_a_process_of_its_own() {
    let Ok(url) = std::env::var(URL) else { return };
    let poller = Poller { start_timeout: Duration::from_secs(2), ..Poller::new(url) };
    match poller.start().await {
        Ok(list) => println!("{} known", list.len()),
        Err(error) => println!("{error}"),
    }
}
