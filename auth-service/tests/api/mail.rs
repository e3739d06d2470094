//! Mail, with a real mail server: reset, verification, notices, and the outbox.

mod links;
mod outbox;
mod pages;
mod program;
mod reset;
mod verify;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::caller::Caller;
use crate::database::{Database, new_folder};
use crate::redis_server::until;
use crate::service::{GOOD, Person, Service, new_name, text};

/// Another valid password.
pub const NEW: &str = "Mz4?tuRnip-9";
pub const PUBLIC_URL: &str = "https://auth.example.org/auth";

/// The settings by which each mail is written to the log.
pub const TO_LOG: [(&str, &str); 3] =
    [("SMTP_URL", "log:"), ("MAIL_FROM", "no-reply@example.org"), ("PUBLIC_URL", PUBLIC_URL)];

/// A mail server: Debian's aiosmtpd, which `./test` installs.
pub struct MailServer {
    process: Child,
    pub port: u16,
    pub folder: PathBuf,
}

/// The server without encryption, which all tests share. It ends with this process, which holds its standard input.
static PLAIN: LazyLock<MailServer> = LazyLock::new(|| MailServer::start("plain", &[]));

impl MailServer {
    pub fn start(mode: &str, files: &[&str]) -> Self {
        let folder = new_folder();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/mail/server.py");
        // Debian's Python has aiosmtpd; the first `python3` in PATH may be another one.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(program).arg(&folder).arg(mode).args(files).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("no aiosmtpd: run ./test");
        Self { process, port, folder }
    }

    /// Waits for `count` mails to `address`, and asserts that no more arrive.
    pub async fn mails(&self, address: &str, count: usize) -> Vec<Value> {
        for _ in 0..300 {
            if self.kept(address).len() >= count {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(200)).await;
        let kept = self.kept(address);
        assert_eq!(kept.len(), count, "mails to {address}: {kept:#?}");
        kept
    }

    pub fn kept(&self, address: &str) -> Vec<Value> {
        let Ok(folder) = std::fs::read_dir(self.folder.join(address)) else { return Vec::new() };
        let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort();
        paths.iter().map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
    }

    /// Waits until mail to `address` was refused `count` times.
    pub async fn refused(&self, address: &str, count: u64) {
        let file = self.folder.join(format!("refused-{address}"));
        until("it was refused", async || file.metadata().is_ok_and(|file| file.len() == count)).await;
    }

    /// Lets the server accept mail to `address` from now on.
    pub fn mend(&self, address: &str) {
        std::fs::write(self.folder.join(format!("mended-{address}")), "").unwrap();
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub fn server() -> &'static MailServer {
    &PLAIN
}

/// The settings of a service that sends mail.
pub fn settings() -> Vec<(&'static str, String)> {
    let smtp = format!("smtp+plain://127.0.0.1:{}", server().port);
    let from = "Tokens <no-reply@example.org>".to_owned();
    vec![("SMTP_URL", smtp), ("MAIL_FROM", from), ("PUBLIC_URL", PUBLIC_URL.to_owned())]
}

pub async fn start_on(database: impl Into<std::sync::Arc<Database>>, more: &[(&str, &str)]) -> Service {
    let settings = settings();
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied());
    Service::start_on(database, settings).await
}

pub async fn start(more: &[(&str, &str)]) -> Service {
    start_on(Database::sqlite(), more).await
}

/// Runs `test` on a service that sends mail, with its data in `SQLite` and, with the feature `all-tests`, in Postgres.
pub async fn on_each_database(more: &[(&str, &str)], test: impl AsyncFn(&Service)) {
    for database in Database::each().await {
        println!("on {}", database.url.split(':').next().unwrap());
        test(&start_on(database, more).await).await;
    }
}

/// A new address, whose prefix `kind` determines how the mail server treats it.
pub fn address(kind: &str) -> String {
    format!("{kind}{}@example.org", new_name())
}

/// The ticket in the link of `mail` to the page `page`.
pub fn ticket(mail: &Value, page: &str) -> String {
    let body = text(&mail["body"]);
    let start = format!("{PUBLIC_URL}/{page}#token=");
    let (_, rest) = body.split_once(&start).unwrap_or_else(|| panic!("no {start} in {body}"));
    let ticket = rest.lines().next().unwrap().to_owned();
    assert_eq!(ticket.len(), 43, "{ticket}");
    ticket
}

/// The ticket in the last of `mails` with a link to reset a password; a notice may come before it or after it.
pub fn last_reset(mails: &[Value]) -> String {
    let with_link = |mail: &&Value| text(&mail["body"]).contains("/reset#token=");
    ticket(mails.iter().rfind(with_link).expect("a mail with a reset link"), "reset")
}

pub fn subject(mail: &Value) -> String {
    text(&mail["headers"]["subject"])
}

impl Service {
    /// A member with the address `email`, set by an admin and so unverified, who is signed in.
    pub async fn member_with(&self, email: &str) -> Person {
        let name = new_name();
        let body = json!({"username": name, "password": GOOD, "email": email});
        let user = self.admin().await.post("/users", &body).await.is(201).json()["user"].clone();
        Person { pair: self.log_in((&name, GOOD)).await, id: text(&user["id"]), name }
    }

    /// Waits until the outbox is empty. A mail arrives before its row is deleted, and a request for another mail reuses
    /// the row until then.
    pub async fn all_is_sent(&self) {
        until("the outbox is empty", async || self.number("SELECT count(*) FROM outbox").await == 0).await;
    }

    pub async fn forgot(&self, email: &str) {
        self.nobody().post("/password/forgot", &json!({"email": email})).await.is(202);
    }

    /// Requests a reset for `email`, and returns the ticket in the only mail that it got.
    pub async fn reset_ticket(&self, email: &str) -> String {
        self.reset_ticket_after(email, 0).await
    }

    /// Requests a reset for `email`, and returns the ticket in its mail; `email` also got this number of others.
    pub async fn reset_ticket_after(&self, email: &str, others: usize) -> String {
        self.forgot(email).await;
        last_reset(&server().mails(email, others + 1).await)
    }

    pub async fn reset(&self, ticket: &str, password: &str) -> crate::answer::Answer {
        self.nobody().post("/password/reset", &json!({"token": ticket, "newPassword": password})).await
    }

    /// The number that `sql` selects from the database.
    pub async fn number(&self, sql: &'static str) -> i64 {
        let mut connection = self.database.connect().await;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}

pub async fn verify(caller: &Caller<'_>, ticket: &str, password: Option<&str>) -> crate::answer::Answer {
    let body = match password {
        Some(password) => json!({"token": ticket, "password": password}),
        None => json!({"token": ticket}),
    };
    caller.post("/email/verify", &body).await
}
