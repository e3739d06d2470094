//! Mail of the program: encrypted, after a kill, and in the log.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::Executor;
use tokio::time::sleep;

use super::{MailServer, PUBLIC_URL, address, server};
use crate::database::Database;
use crate::program::{Desk, Served};
use crate::redis_server::until;
use crate::service::{ADMIN, GOOD, new_name};

async fn post(service: &Served, path: &str, token: &str, body: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(service.url(path)).bearer_auth(token).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
}

/// Adds a user with the address `email`, and requests a reset link.
async fn forgot(service: &Served, email: &str) {
    let login = json!({"username": ADMIN.0, "password": ADMIN.1});
    let admin = post(service, "/login", "", login).await["accessToken"].as_str().unwrap().to_owned();
    let user = json!({"username": new_name(), "password": GOOD, "email": email});
    post(service, "/users", &admin, user).await;
    post(service, "/password/forgot", "", json!({"email": email})).await;
}

fn desk(smtp: &str) -> Desk {
    let desk = Desk::new().set("DEMO_DATA", "true").set("SMTP_URL", smtp).set("PUBLIC_URL", PUBLIC_URL);
    desk.set("MAIL_FROM", "no-reply@example.org")
}

/// A certificate for `localhost` that is its own authority, as files in `folder`.
fn certify(folder: &Path) {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout mail.key -out mail.pem";
    let openssl = Command::new("sh").args(["-euc", script]).current_dir(folder).stderr(Stdio::null()).status();
    assert!(openssl.unwrap().success());
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server and OpenSSL: ./test")]
async fn mail_goes_encrypted_to_a_server_whose_certificate_is_good() {
    let files = Desk::new();
    certify(&files.folder);
    let file = |name: &str| files.folder.join(name).display().to_string();
    for (mode, scheme) in [("starttls", "smtp"), ("smtps", "smtps")] {
        let mails = MailServer::start(mode, &[&file("mail.pem"), &file("mail.key")]);
        let url = format!("{scheme}://mailer:p%40ss%2Fword@localhost:{}", mails.port);
        let (trusting, doubting) = (desk(&url).set("SSL_CERT_FILE", &file("mail.pem")), desk(&url));
        let service = trusting.serve();
        let email = address("anna");
        forgot(&service, &email).await;
        let mail = &mails.mails(&email, 1).await[0];
        assert_eq!((&mail["encrypted"], &mail["login"]), (&json!(true), &json!("mailer")), "{mode}");
        assert_eq!(mail["hello"], "auth.example.org");
        let told = trusting.run(&["doctor"], "").out;
        assert!(told.contains("ok    mail") && !told.contains("p@ss"), "{told}");

        let service = doubting.serve();
        forgot(&service, &email).await;
        service.says("a mail was not sent, the next try is later").await;
        mails.mails(&email, 1).await;
        service.signal(Signal::TERM);
        let (_, log) = service.end().await;
        assert!(log.contains("a mail was not sent, the next try is later"), "{mode}: {log}");
        assert!(!log.contains(&email) && !log.contains("p@ss"), "{mode}: {log}");
        let told = doubting.run(&["doctor"], "").out;
        assert!(told.contains("FAIL  mail"), "{told}");
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn plain_server_is_not_spoken_to_where_encryption_is_wanted() {
    let desk = desk(&format!("smtp://localhost:{}", server().port));
    let (service, email) = (desk.serve(), address("anna"));
    forgot(&service, &email).await;
    service.says("STARTTLS is not supported").await;
    server().mails(&email, 0).await;
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    assert!(log.contains("STARTTLS is not supported"), "{log}");
}

#[tokio::test]
async fn operator_gets_a_link_beside_a_running_service() {
    let desk = Desk::new();
    let service = desk.serve();
    desk.run(&["users", "add", "anna"], &format!("{GOOD}\n")).is(0);
    let ended = desk.run(&["users", "reset-link", "anna"], "").is(1);
    assert!(ended.err.contains("PUBLIC_URL is not set"), "{ended:?}");
    let desk = desk.set("PUBLIC_URL", PUBLIC_URL);
    let link = desk.run(&["users", "reset-link", "anna"], "").is(0).out;
    let ticket = super::ticket(&json!({"body": link}), "reset");
    post(&service, "/password/reset", "", json!({"token": ticket, "newPassword": super::NEW})).await;
    post(&service, "/login", "", json!({"username": "anna", "password": super::NEW})).await;
    desk.run(&["users", "reset-link", "nobody"], "").is(1);
}

/// A kill between the server's 250 and the deletion of the row: the mail is sent again, as delivery is at least once.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn mail_of_a_killed_instance_is_sent_by_the_next() {
    let desk = desk(&format!("smtp+plain://127.0.0.1:{}", server().port));
    let url = format!("sqlite://{}/auth.db", desk.folder.display());
    let mut service = desk.serve();
    let email = address("slow");
    forgot(&service, &email).await;
    until("the server has it", async || server().kept(&email).len() == 1).await;
    // From here on the row cannot be deleted, and the 250 comes a second later.
    let database = Database::at(&url);
    let mut hold = database.connect().await;
    hold.execute("BEGIN IMMEDIATE").await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    service.kill();
    hold.execute("ROLLBACK").await.unwrap();
    database.execute("UPDATE outbox SET next_at = 0").await;
    let _service = desk.serve();
    server().mails(&email, 2).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn log_holds_no_ticket_no_address_and_no_password() {
    let desk = desk(&format!("smtp+plain://127.0.0.1:{}", server().port)).set("RUST_LOG", "debug");
    let (service, email) = (desk.serve(), address("anna"));
    forgot(&service, &email).await;
    let reset = super::ticket(&server().mails(&email, 1).await[0], "reset");
    post(&service, "/password/reset", "", json!({"token": reset, "newPassword": super::NEW})).await;
    let login = json!({"email": email, "password": super::NEW});
    let access = post(&service, "/login", "", login).await["accessToken"].as_str().unwrap().to_owned();
    let (other, client) = (address("other"), reqwest::Client::builder().no_proxy().build().unwrap());
    let body = json!({"email": other, "currentPassword": super::NEW});
    let change = client.put(service.url("/me/email")).bearer_auth(&access).json(&body).send().await.unwrap();
    assert_eq!(change.status(), 202);
    let verify = super::ticket(&server().mails(&other, 1).await[0], "verify");
    post(&service, "/email/verify", &access, json!({"token": verify})).await;
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    assert!(log.contains("password.reset") && log.contains("email.verified") && log.contains("/email/verify"), "{log}");
    for secret in [&reset, &verify, &email, &other, super::NEW, GOOD, &access] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn mail_is_counted_by_its_result_and_logged_where_it_is_given_up() {
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let desk = desk(&format!("smtp+plain://127.0.0.1:{}", server().port)).set("AUTH_METRICS_ADDR", &metrics);
    let (service, lost) = (desk.serve(), address("550"));
    forgot(&service, &address("anna")).await;
    forgot(&service, &lost).await;
    post(&service, "/password/forgot", "", json!({"email": address("nobody")})).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let counted = async || {
        let page = client.get(format!("http://{metrics}/metrics")).send().await.unwrap().text().await.unwrap();
        ["sent", "failed", "dropped"]
            .iter()
            .all(|result| page.contains(&format!("mail_total{{result=\"{result}\"}} 1\n")))
    };
    until("each is counted", counted).await;
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    assert!(log.contains("event=mail.failed") && log.contains("refuses the recipient, with 550"), "{log}");
    assert!(!log.contains(&lost), "{log}");
}

#[tokio::test]
async fn mail_is_written_to_the_log_where_that_is_wanted() {
    let desk = desk("log:");
    let (service, email) = (desk.serve(), address("anna"));
    forgot(&service, &email).await;
    service.says("/reset#token=").await;
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    assert!(log.contains(&format!("mail to {email}: Set a new password")), "{log}");
    assert!(log.contains(&format!("{PUBLIC_URL}/reset#token=")), "{log}");
}
