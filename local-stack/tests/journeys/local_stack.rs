use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use shared_service::Settings;

use crate::process::{Folder, Output, Program};
use crate::stack::{PASSWORD, Stack, a_book, unique};
use crate::targets::{binary, greeted};

/// Starts local-stack in `folder`, on free ports and otherwise with its defaults.
pub async fn start(folder: &Folder) -> (Program, Stack) {
    let program = start_with(folder, &[]);
    let stack = greeted(&program).await;
    (program, stack)
}

pub fn start_with(folder: &Folder, settings: &[(&str, &str)]) -> Program {
    let ours = [("AUTH_ADDR", "127.0.0.1:0"), ("BOOKS_ADDR", "127.0.0.1:0"), ("BCRYPT_COST", "4")];
    Program::start(&binary("local-stack"), folder.path(), &[&ours[..], settings].concat())
}

#[tokio::test]
async fn a_first_start_makes_what_is_missing() {
    let folder = Folder::new();
    let (_running, stack) = start(&folder).await;
    let data = folder.path().join("data");
    let secrets = data.join("secrets.env");
    assert_eq!((mode(&data), mode(&secrets)), (0o700, 0o600), "only the owner has access");
    for name in ["auth.db", "auth.db-wal", "auth.db-shm", "books.db", "books.db-wal", "books.db-shm"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    let secrets = fs::read_to_string(secrets).unwrap();
    let names: Vec<&str> = secrets.lines().map(|line| line.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"]);
    stack.john().await;
    stack.anna().await;
}

#[tokio::test]
async fn secrets_that_others_prepared_are_not_adopted() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for name in ["secrets.draft", "secrets.env"] {
        fs::write(data.join(name), "ACCESS_TOKEN_SECRET=prepared\n").unwrap();
        fs::set_permissions(data.join(name), Permissions::from_mode(0o666)).unwrap();
    }
    let (code, output) = start_with(&folder, &[]).end().await;
    assert_eq!(code, Some(1), "{output:#?}");
    assert!(output.err.concat().contains("data/secrets.env: others can write it (mode 666): chmod 600"), "{output:#?}");
    fs::remove_file(data.join("secrets.env")).unwrap();
    let (_running, _stack) = start(&folder).await;
    assert_eq!(mode(&data.join("secrets.env")), 0o600);
    assert!(!fs::read_to_string(data.join("secrets.env")).unwrap().contains("prepared"));
}

#[test]
fn help_starts_nothing() {
    let folder = Folder::new();
    for (argument, code, part) in
        [("--help", 0, "DEMO_DATA=false AUTH_ADDR=0.0.0.0:3000"), ("--version", 0, "0."), ("x", 2, "'x'")]
    {
        let ended = Command::new(binary("local-stack")).arg(argument).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(ended.status.code() == Some(code) && said.contains(part), "{argument}: {said}");
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn local_stack_listens_on_loopback_unless_told_otherwise() {
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let addresses = |given: &[(&str, &str)]| {
        let given = [&[("DATA_DIR", &*data)], given].concat();
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (auth, books) = local_stack::configs(&mut Settings::from_pairs(given)).unwrap();
        [auth.server.addr, books.server.addr].map(|addr| addr.to_string())
    };
    assert_eq!(addresses(&[]), ["127.0.0.1:3000", "127.0.0.1:4000"]);
    let told = [("AUTH_ADDR", "0.0.0.0:3000"), ("BOOKS_ADDR", "[::]:4000")];
    assert_eq!(addresses(&told), ["0.0.0.0:3000", "[::]:4000"]);
}

/// Else any web site could resolve its own name to 127.0.0.1 (DNS rebinding), and log in as john.
#[tokio::test]
async fn local_stack_on_loopback_refuses_other_hosts() {
    let folder = Folder::new();
    let settings = [("ALLOWED_ORIGINS", "https://app.example"), ("AUTH_METRICS_ADDR", "127.0.0.1:0")];
    let running = start_with(&folder, &settings);
    let stack = greeted(&running).await;
    let john = json!({"username": "john", "password": "password123admin"});
    for host in ["localhost:3000", "127.0.0.1", "[::1]:4000", "app.example"] {
        stack.auth().with("Host", host).post("/login", john.clone()).await.is(200);
        stack.books().with("Host", host).get("/livez").await.is(200);
    }
    for host in ["evil.example:3000", "app.example.evil.example", "192.168.0.7:3000", "0.0.0.0:3000"] {
        for origin in ["http://evil.example:3000", "https://app.example"] {
            let auth = stack.auth().with("Host", host).with("Origin", origin);
            auth.post("/login", john.clone()).await.refused(421, "misdirected_request");
            stack.books().with("Host", host).get("/books").await.refused(421, "misdirected_request");
        }
    }

    let folder = Folder::new();
    let everywhere = start_with(&folder, &[("AUTH_ADDR", "0.0.0.0:0")]);
    let stack = greeted(&everywhere).await;
    stack.auth().with("Host", "stack.example").post("/login", john).await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs curl: ./test")]
async fn the_printed_lines_work_when_pasted() {
    let folder = Folder::new();
    let (running, _) = start(&folder).await;
    let lines = |output: &Output| {
        let indented = output.out.iter().filter_map(|line| line.strip_prefix("  "));
        <[String; 3]>::try_from(indented.map(str::to_owned).collect::<Vec<_>>()).ok()
    };
    let [log_in, read, add] = running.says(lines).await;
    let books = pasted(&format!("{log_in}\n{read}"));
    for title in ["Things Fall Apart", "Fairy tales", "The Divine Comedy"] {
        assert!(books.contains(title), "{title} in {books}");
    }
    let added = pasted(&format!("{log_in}\n{add}"));
    assert!(added.contains("Book added successfully"), "{added}");
}

/// The greeting is short enough for a new user to read all of it.
#[tokio::test]
async fn greeting_has_what_is_needed_next_in_ten_lines() {
    let folder = Folder::new();
    let (running, stack) = start(&folder).await;
    let said =
        running.says(|output| output.out.iter().any(|line| line.contains("1813")).then(|| output.out.clone())).await;
    let said: Vec<String> = said.into_iter().filter(|line| !line.is_empty()).collect();
    assert!(said.len() <= 10, "{said:#?}");
    let said = said.join("\n");
    for part in [&format!("{}/docs", stack.auth), &format!("{}/docs", stack.books), "john / password123admin (admin)"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains(&format!("{}/data, secrets in secrets.env", folder.path().display())), "{said}");
    // The line about an admin, unchanged.
    let (_, command) = said.lines().find_map(|line| line.split_once("a new admin    ")).unwrap();
    let script = format!("echo '{PASSWORD}' | {}", command.replace("NAME", "alice"));
    let done = Command::new("sh").args(["-euc", &script]).current_dir(folder.path()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let alice = stack.log_in("alice", PASSWORD).await;
    stack.auth().bearer(alice.access).get("/users").await.is(200);
}

#[tokio::test]
async fn local_stack_has_the_commands_of_auth_service_with_its_own_settings() {
    let folder = Folder::new();
    let (running, stack) = start(&folder).await;
    let tokens = stack.anna().await;
    let run = |arguments: &[&str], input: &str| {
        let mut program = Command::new(binary("local-stack"));
        program
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .env("AUTH_ADDR", stack.auth.replace("http://localhost", "127.0.0.1"));
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        let text = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(ended.status.success() && !text.contains("INFO"), "{arguments:?}: {text}");
        text
    };
    assert!(run(&["users", "list"], "").contains("john"));
    assert!(run(&["token", "verify", "-"], &tokens.access).contains("accepted"));
    assert!(run(&["sessions", "revoke-all", "anna"], "").contains("1 session ended"));
    let examined = run(&["doctor"], "");
    assert!(examined.lines().all(|line| line.starts_with("ok ")), "{examined}");
    drop(running);
}

#[tokio::test]
async fn token_for_another_audience_is_logged_with_both_names() {
    let folder = Folder::new();
    let running = start_with(&folder, &[("ACCESS_TOKEN_AUDIENCE", "auth-service,orders-service")]);
    let stack = greeted(&running).await;
    let anna = stack.anna().await;
    stack.books().bearer(anna.access).get("/books").await.refused(401, "invalid_token");
    let line = |output: &Output| output.err.iter().find(|line| line.contains("a token for the audience")).cloned();
    let line = running.says(line).await;
    assert!(line.contains("auth-service orders-service is refused: this service is books-service"), "{line}");
    let accepts =
        |output: &Output| output.err.iter().any(|line| line.contains("name the audience books-service")).then_some(());
    running.says(accepts).await;
}

#[tokio::test]
async fn a_second_start_keeps_everything() {
    let folder = Folder::new();
    let (first, stack) = start(&folder).await;
    let secrets = fs::read(folder.path().join("data/secrets.env")).unwrap();
    let carla = unique("carla");
    stack.auth().post("/register", json!({"username": carla, "password": PASSWORD})).await.is(201);
    let before = stack.log_in(&carla, PASSWORD).await;
    let john = stack.books().bearer(stack.john().await.access);
    let added = john.post("/books", a_book("Emma")).await.is(201);
    for secret in [PASSWORD, "password123admin", &before.refresh] {
        assert!(!holds(&folder.path().join("data"), secret), "{secret} is on disk");
    }
    first.signal(Signal::TERM);
    first.end().await;

    let (_second, stack) = start(&folder).await;
    assert_eq!(fs::read(folder.path().join("data/secrets.env")).unwrap(), secrets);
    let carla = stack.books().bearer(before.access);
    assert_eq!(carla.get(added.header("location")).await.is(200).json(), added.json()["book"]);
    let after = stack.refresh(&before.refresh).await.tokens();
    stack.auth().bearer(after.access).get("/me").await.is(200);
    let books = carla.get("/books").await.is(200).json();
    assert_eq!(books.as_array().unwrap().len(), 4, "the demo books are added only once: {books:#}");
}

#[tokio::test]
async fn local_stack_reports_all_wrong_settings_at_once() {
    let settings = [("ACCESS_TOKEN_SECRET", "your_jwt_secret"), ("ACCESS_TOKEN_TTL", "soon"), ("RUST_LOG", "error")];
    let (code, output) = start_with(&Folder::new(), &settings).end().await;
    assert_eq!(code, Some(1));
    let message = [
        "local-stack: the settings are wrong:",
        "  ACCESS_TOKEN_TTL must be a time such as 10s, 15m, 12h or 7d",
        "  ACCESS_TOKEN_SECRET is a secret printed in a tutorial; make one with `auth-service keygen`",
    ];
    assert_eq!(output.err, message);
    assert!(output.out.is_empty(), "{output:#?}");
}

#[tokio::test]
async fn a_start_that_fails_says_why_in_one_line() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let no_folder = folder.path().join("file/data").display().to_string();
    fs::write(folder.path().join("file"), "").unwrap();
    for (name, value) in [("AUTH_ADDR", &taken), ("BOOKS_ADDR", &taken), ("DATA_DIR", &no_folder)] {
        let (code, output) = start_with(&folder, &[(name, value), ("RUST_LOG", "error")]).end().await;
        assert_eq!(code, Some(1), "{output:#?}");
        let [line] = &output.err[..] else { panic!("{output:#?}") };
        assert!(line.starts_with("local-stack: ") && line.contains(value), "{line}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The output of a shell when `lines` are pasted into it.
fn pasted(lines: &str) -> String {
    // Both services are local, whatever proxy the environment names.
    let shell = Command::new("sh").arg("-c").arg(lines).env("no_proxy", "*").output().unwrap();
    let errors = String::from_utf8(shell.stderr).unwrap();
    assert!(
        !errors.contains("not found"),
        "the lines need curl and sed: run ./test, which installs what is missing: {errors}"
    );
    assert!(shell.status.success(), "{errors}");
    String::from_utf8(shell.stdout).unwrap()
}

/// True if a file in `folder` contains `text`.
fn holds(folder: &Path, text: &str) -> bool {
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|file| file.windows(text.len()).any(|part| part == text.as_bytes()))
}
