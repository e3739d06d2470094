//! The command line, without a terminal. Its effect on the database is checked through the domain.

mod exports;
mod import;

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use auth_service::cli::{Cli, CliContext, CliError, Command, Console, DataCommand, UsersCommand, run_users};
use auth_service::limits::ClientNetwork;
use auth_service::passwords::Passwords;
use auth_service::sessions::{Label, Rules, SessionStore, SqlSessions};
use auth_service::sql::SqlStore;
use auth_service::users::{User, UserChange, Users};
use clap::{CommandFactory, Parser};
use shared_claims::Role;

use crate::users::{Stage, passwords};

const GOOD: &str = "vK7#qz!Lw2";

struct Desk {
    stage: Stage,
    passwords: Passwords,
    sessions: SqlSessions,
}

impl Desk {
    async fn of(stage: Stage) -> Self {
        let hour = Duration::from_hours(1);
        let rules = Rules { refresh_ttl: hour, max_age: hour, grace: Duration::ZERO, access_ttl: hour };
        let sessions = SqlSessions::on(SqlStore::open(stage.pool.clone()).await.unwrap(), rules).await.unwrap();
        Self { stage, passwords: passwords(), sessions }
    }

    async fn each() -> Vec<Self> {
        let mut each = Vec::new();
        for stage in Stage::each().await {
            each.push(Self::of(stage).await);
        }
        each
    }

    async fn sqlite() -> Self {
        Self::of(Stage::sqlite().await).await
    }

    /// The output of `auth-service users` with `arguments` and `input`.
    async fn run(&self, arguments: &[&str], input: &str) -> Result<String, CliError> {
        let (said, done) = self.run_to_the_end(arguments, input).await;
        done.map(|()| said)
    }

    /// The output and the result, for a command that may print something before it fails.
    async fn run_to_the_end(&self, arguments: &[&str], input: &str) -> (String, Result<(), CliError>) {
        self.run_with(arguments, Cursor::new(input.to_owned())).await
    }

    async fn run_with(&self, arguments: &[&str], input: impl BufRead + 'static) -> (String, Result<(), CliError>) {
        let printed = Printed::default();
        let mut console = Console::piped(input, printed.clone());
        let (users, passwords, sessions) = (&self.stage.users, &self.passwords, &self.sessions);
        let context = CliContext { users, passwords, sessions, recovery: None };
        let done = run_users(command(arguments), context, &mut console).await;
        (String::from_utf8(printed.0.lock().unwrap().clone()).unwrap(), done)
    }

    /// The error of a command that fails, which is one line.
    async fn refusal(&self, arguments: &[&str], input: &str) -> String {
        let why = self.run(arguments, input).await.unwrap_err().to_string();
        assert_eq!(why.lines().count(), 1, "{why}");
        why
    }

    async fn user(&self, name: &str) -> Option<User> {
        self.stage.users.account_by_login(name).await.unwrap().map(|account| account.user)
    }

    async fn can_sign_in(&self, name: &str, password: &str) -> bool {
        let account = self.stage.users.account_by_login(name).await.unwrap().unwrap();
        self.passwords.verify(ClientNetwork::default(), password, &account.hash).await.unwrap().is_some()
    }

    async fn open_session(&self, user: &User) {
        let label = Label::new("test", "192.0.2.1");
        self.sessions.open(&user.id, label).await.unwrap();
    }

    async fn open_sessions(&self, user: &User) -> usize {
        self.sessions.list(&user.id, None, 9).await.unwrap().len()
    }
}

#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn command(arguments: &[&str]) -> UsersCommand {
    match Cli::try_parse_from([&["auth-service", "users"], arguments].concat()).unwrap().command {
        Some(Command::Data(DataCommand::Users(command))) => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_well_formed_and_takes_nothing_secret() {
    let cli = Cli::command();
    cli.clone().debug_assert();
    assert!(Cli::try_parse_from(["auth-service"]).unwrap().command.is_none(), "serve is the default command");
    for command in cli.find_subcommand("users").unwrap().get_subcommands() {
        let names: Vec<_> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
        assert!(!names.iter().any(|name| name.contains("password")), "{}: {names:?}", command.get_name());
    }
}

#[tokio::test]
async fn added_user_can_log_in() {
    for desk in Desk::each().await {
        let said = desk.run(&["add", "Root", "--role", "admin", "--email", "Root@example.org"], "vK7#qz!Lw2\n").await;
        assert_eq!(said.unwrap(), "root is there, as admin\n");
        assert_eq!(desk.user("root@example.org").await.unwrap().role, Role::Admin);
        assert!(desk.can_sign_in("root", GOOD).await);

        desk.run(&["add", "anna"], "vK7#qz!Lw2\r\nsecond line\n").await.unwrap();
        assert_eq!(desk.user("anna").await.unwrap().role, Role::Member);
        assert!(desk.can_sign_in("anna", GOOD).await, "the password is the first line, without its line end");
    }
}

#[tokio::test]
async fn failed_add_names_the_reason() {
    let desk = Desk::of(Stage::sqlite().await).await;
    desk.run(&["add", "anna", "--email", "anna@example.org"], GOOD).await.unwrap();
    for (arguments, input, expected) in [
        (&["add", "an"][..], GOOD, "the name must have 3 to 32 characters"),
        (&["add", "ben", "--email", "ben"], GOOD, "the email must be an email address"),
        (&["add", "ben"], "", "no password: give it as one line on standard input"),
        (&["add", "ben"], "short\n", "the password must have at least 8 characters"),
        (&["add", "ben"], "Password@123\n", "the password is too easy to guess. "),
        (&["add", "Anna"], GOOD, "another account has that name"),
        (&["add", "ben", "--email", "ANNA@example.org"], GOOD, "another account has that email"),
        (&["set-role", "carl", "admin"], "", "there is no user called \"carl\""),
        (&["import", "/nonexistent/people.jsonl"], "", "/nonexistent/people.jsonl: "),
    ] {
        let why = desk.refusal(arguments, input).await;
        assert!(why.starts_with(expected), "{arguments:?}: {why}");
    }
    assert!(desk.user("ben").await.is_none());
}

#[tokio::test]
async fn list_shows_a_table() {
    let desk = Desk::of(Stage::sqlite().await).await;
    desk.run(&["add", "anna", "--email", "änna@example.org"], GOOD).await.unwrap();
    desk.run(&["add", "benedict", "--role", "admin"], GOOD).await.unwrap();
    desk.run(&["disable", "anna"], "").await.unwrap();
    let table = desk.run(&["list"], "").await.unwrap();
    let [title, anna, ben] = table.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(title.starts_with("USERNAME  ROLE    STATE     EMAIL             CREATED "), "{title}");
    assert!(anna.starts_with("anna      member  disabled  änna@example.org  20"), "{anna}");
    assert!(ben.starts_with("benedict  admin   enabled   -                 20"), "{ben}");
    assert!(!table.contains("$2b$"));
}

#[tokio::test]
async fn role_of_the_last_admin_cannot_be_changed() {
    let desk = Desk::of(Stage::sqlite().await).await;
    desk.run(&["add", "root", "--role", "admin"], GOOD).await.unwrap();
    desk.run(&["add", "anna"], GOOD).await.unwrap();
    for arguments in [&["set-role", "root", "member"][..], &["disable", "root"], &["delete", "root"]] {
        assert!(desk.refusal(arguments, "").await.starts_with("that is the last admin"), "{arguments:?}");
    }
    assert_eq!(desk.run(&["set-role", "anna", "admin"], "").await.unwrap(), "anna is admin now\n");
    assert_eq!(desk.run(&["set-role", "root", "member"], "").await.unwrap(), "root is member now\n");
}

#[tokio::test]
async fn command_that_removes_a_right_ends_the_sessions() {
    for desk in Desk::each().await {
        desk.run(&["add", "root", "--role", "admin"], GOOD).await.unwrap();
        desk.run(&["add", "anna", "--email", "anna@example.org"], GOOD).await.unwrap();
        let (anna, root) = (desk.user("anna").await.unwrap(), desk.user("root").await.unwrap());
        desk.open_session(&root).await;
        for (arguments, input, said) in [
            (&["set-password", "anna"][..], "Mz4?tuRnip-9\n", "anna has the new password; 2 sessions ended\n"),
            (&["disable", "ANNA@example.org"], "", "anna cannot sign in any more; 2 sessions ended\n"),
            (&["delete", "anna"], "", "anna is deleted; 2 sessions ended\n"),
        ] {
            desk.open_session(&anna).await;
            desk.open_session(&anna).await;
            assert_eq!(desk.run(arguments, input).await.unwrap(), said);
            assert_eq!(desk.open_sessions(&anna).await, 0, "{arguments:?}");
            if arguments[0] == "set-password" {
                assert!(desk.can_sign_in("anna", "Mz4?tuRnip-9").await);
                assert!(!desk.can_sign_in("anna", GOOD).await);
            }
        }
        assert_eq!(desk.open_sessions(&root).await, 1, "sessions of other users stay open");
        assert!(desk.user("anna").await.is_none());
    }
}

/// An input that takes so long that meanwhile another account has the email.
struct Slow {
    users: Users,
    old: User,
    new: User,
}

impl Read for Slow {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let (users, old, new) = (self.users.clone(), self.old.clone(), self.new.clone());
        let moved = thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let email = |email| UserChange { email: Some(email), ..UserChange::default() };
                users.change(&old.id, &email(None)).await.unwrap();
                users.change(&new.id, &email(old.email)).await.unwrap()
            })
        });
        moved.join().unwrap();
        Cursor::new("Mz4?tuRnip-9\n").read(bytes)
    }
}

#[tokio::test]
async fn set_password_is_for_the_account_that_had_the_email_before_the_prompt() {
    let desk = Desk::sqlite().await;
    desk.run(&["add", "anna", "--email", "anna@example.org"], GOOD).await.unwrap();
    desk.run(&["add", "ben"], GOOD).await.unwrap();
    let (old, new) = (desk.user("anna").await.unwrap(), desk.user("ben").await.unwrap());
    let slow = BufReader::new(Slow { users: desk.stage.users.clone(), old, new });
    desk.run_with(&["set-password", "anna@example.org"], slow).await.1.unwrap();
    assert_eq!(desk.user("anna@example.org").await.unwrap().username.as_str(), "ben");
    assert!(desk.can_sign_in("ben", GOOD).await);
    assert!(desk.can_sign_in("anna", "Mz4?tuRnip-9").await);
}

#[tokio::test]
async fn disabled_user_can_be_enabled() {
    let desk = Desk::of(Stage::sqlite().await).await;
    desk.run(&["add", "anna"], GOOD).await.unwrap();
    desk.run(&["disable", "anna"], "").await.unwrap();
    assert!(desk.user("anna").await.unwrap().disabled);
    assert_eq!(desk.run(&["enable", "anna"], "").await.unwrap(), "anna can sign in\n");
    assert!(!desk.user("anna").await.unwrap().disabled);
}
