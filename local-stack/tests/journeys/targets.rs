use std::io::Write;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use rustix::process::Signal;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use uuid::Uuid;

use crate::process::{Folder, Output, Program};
use crate::stack::Stack;

/// A stack that this test started.
struct Started {
    stack: Stack,
    programs: Vec<Program>,
    databases: Vec<Database>,
    _folder: Folder,
}

/// A new, empty Postgres database.
pub struct Database {
    pub url: String,
    server: String,
    name: String,
}

/// Runs `story` on every stack: on the outside stack if there is one, else on local-stack and, with the feature
/// `all-tests`, on two services with Redis and Postgres.
pub async fn walk(story: impl AsyncFn(&Stack)) {
    match outside() {
        Some(stack) => story(&stack).await,
        None => walk_with(&[], story).await,
    }
}

/// Runs a story that needs its own settings. An outside stack cannot get them: there the story is reported as skipped.
pub async fn walk_with(settings: &[(&str, &str)], story: impl AsyncFn(&Stack)) {
    walk_watching(settings, async |stack, _| story(stack).await).await;
}

/// Runs a story with its own settings that also gets the programs: local-stack, or auth-service and books-service.
pub async fn walk_watching(settings: &[(&str, &str)], story: impl AsyncFn(&Stack, &[Program])) {
    let names = settings.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if is_outside(&format!("a story that needs {names}")) {
        return;
    }
    let mut started = vec![local_stack(settings).await];
    if cfg!(feature = "all-tests") {
        started.push(two_services(settings).await);
    }
    let walks = started.into_iter().map(async |started| {
        story(&started.stack, &started.programs).await;
        started.stop().await;
    });
    join_all(walks).await;
}

/// True if there is an outside stack; reports that `what` is skipped there.
pub fn is_outside(what: &str) -> bool {
    let outside = outside().is_some();
    if outside {
        // Not with eprintln!, whose text is shown only when a test fails.
        std::io::stderr().write_all(format!("SKIPPED on the outside stack: {what}\n").as_bytes()).unwrap();
    }
    outside
}

/// The stack that `JOURNEY_AUTH_URL` and `JOURNEY_BOOKS_URL` name.
pub fn outside() -> Option<Stack> {
    match (variable("JOURNEY_AUTH_URL"), variable("JOURNEY_BOOKS_URL")) {
        (Some(auth), Some(books)) => Some(Stack::new("outside", auth, books)),
        (None, None) => None,
        _ => panic!("only one of JOURNEY_AUTH_URL and JOURNEY_BOOKS_URL is set"),
    }
}

async fn local_stack(settings: &[(&str, &str)]) -> Started {
    let folder = Folder::new();
    let ours = [("AUTH_ADDR", "127.0.0.1:0"), ("BOOKS_ADDR", "127.0.0.1:0"), ("WORKERS", "2"), ("BCRYPT_COST", "4")];
    let program = Program::start(&binary("local-stack"), folder.path(), &[&ours[..], settings].concat());
    let stack = greeted(&program).await;
    Started { stack, programs: vec![program], databases: Vec::new(), _folder: folder }
}

/// The stack whose addresses are in local-stack's greeting.
pub async fn greeted(program: &Program) -> Stack {
    let address = |output: &Output, name: &str| {
        let line = output.out.iter().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.to_owned())
    };
    let both = |output: &Output| Some((address(output, "auth-service")?, address(output, "books-service")?));
    let (auth, books) = program.says(both).await;
    Stack::new("local-stack", auth, books)
}

async fn two_services(settings: &[(&str, &str)]) -> Started {
    let folder = Folder::new();
    let redis = redis_url();
    let (people, library) = (Database::new().await, Database::new().await);
    let (access, refresh) = (random_secret(), random_secret());
    let both = [
        ("ACCESS_TOKEN_SECRET", &*access),
        ("DEMO_DATA", "true"),
        ("WORKERS", "2"),
        ("BCRYPT_COST", "4"),
        ("IP_RATE_LIMIT", "0"),
    ];
    let auth = [
        ("AUTH_ADDR", "127.0.0.1:0"),
        ("AUTH_DATABASE_URL", &people.url),
        ("REDIS_URL", &redis),
        ("REFRESH_TOKEN_SECRET", &refresh),
    ];
    let auth = Program::start(&binary("auth-service"), folder.path(), &[&both[..], &auth, settings].concat());
    let auth_url = logged(&auth).await;
    let books = [("BOOKS_ADDR", "127.0.0.1:0"), ("BOOKS_DATABASE_URL", &*library.url), ("AUTH_URL", &auth_url)];
    let books = Program::start(&binary("books-service"), folder.path(), &[&both[..], &books, settings].concat());
    let stack = Stack::new("two services", auth_url, logged(&books).await);
    Started { stack, programs: vec![auth, books], databases: vec![people, library], _folder: folder }
}

/// The Redis that all tests share.
pub fn redis_url() -> String {
    variable("TEST_REDIS_URL").expect("TEST_REDIS_URL is not set: run ./test, or see CONTRIBUTING.md")
}

/// The address in a service's log line "… started on 127.0.0.1:1234".
pub async fn logged(service: &Program) -> String {
    let address = |line: &String| Some(line.split_once(" started on ")?.1.split_whitespace().next()?.to_owned());
    format!("http://{}", service.says(|output| output.err.iter().find_map(address)).await)
}

/// 64 random bytes in hex, as `crypto.randomBytes(64).toString('hex')` writes them in Node.
pub fn random_secret() -> String {
    (0..4).map(|_| Uuid::new_v4().simple().to_string()).collect()
}

/// The path of a program of the workspace. Cargo puts all programs into one folder.
pub fn binary(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_local-stack")).with_file_name(name);
    assert!(path.exists(), "{} is not built: run ./test", path.display());
    path
}

/// A variable of the test's environment.
#[expect(clippy::disallowed_methods, reason = "where the test's servers are, is no setting of the services")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Started {
    /// Ends the stack as an operator does. After any story, the programs must end without an error.
    async fn stop(self) {
        for program in self.programs {
            program.signal(Signal::TERM);
            let (code, output) = program.end().await;
            assert_eq!(code, Some(0), "{output:#?}");
        }
        for database in self.databases {
            database.remove().await;
        }
    }
}

impl Database {
    pub async fn new() -> Self {
        let server =
            variable("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is not set: run ./test, or see CONTRIBUTING.md");
        let name = format!("journey_{}", Uuid::new_v4().simple());
        execute(&server, format!("CREATE DATABASE {name}")).await;
        let (host, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{host}/{name}"), server, name }
    }

    pub async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url).await.unwrap()
    }

    pub async fn remove(self) {
        execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

/// Runs `sql` directly on the database, without the services.
pub async fn execute(url: &str, sql: String) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
