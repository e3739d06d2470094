use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use auth_service::users::DEMO_PEOPLE;
use serde_json::Value;

use super::{Desk, log_in};
use crate::database::server;
use crate::redis_server::Redis;
use crate::service::{ACCESS_SECRET, GOOD};

#[test]
fn help_needs_no_settings() {
    let desk = Desk::bare();
    for (arguments, expected) in [
        (&["--help"][..], "keygen"),
        (&["users", "--help"], "set-role"),
        (&["users", "import", "--help"], "mongoexport"),
        (&["users", "--help"], "auth-service users export >people.jsonl"),
        (&["sessions", "--help"], "auth-service sessions revoke-all anna"),
        (&["token", "--help"], "auth-service token verify - <token"),
        (&["--version"], "auth-service "),
    ] {
        let ended = desk.run(arguments, "").is(0);
        assert!(ended.out.contains(expected), "{ended:?}");
    }
    let ended = desk.run(&["nonsense"], "").is(2);
    assert!(ended.err.contains("nonsense"), "{ended:?}");
}

#[test]
fn keygen_makes_settings_that_are_good() {
    let desk = Desk::bare().set("AUTH_DATABASE_URL", "sqlite://auth.db?mode=rwc").set("AUTH_ADDR", "127.0.0.1:0");
    let ended = desk.run(&[], "").is(1);
    assert!(ended.err.contains("ACCESS_TOKEN_SECRET is not set; make one with `auth-service keygen`"), "{ended:?}");
    let keys = desk.run(&["keygen"], "").is(0).out;
    desk.env_file(&keys);
    desk.run(&["healthcheck", &desk.serve().url("/readyz")], "").is(0);
}

#[test]
fn keygen_keeps_the_secrets_that_are_there() {
    let desk = Desk::bare();
    let first_run = desk.run(&["keygen", "access", "refresh"], "").is(0);
    assert_eq!(first_run.err, "access holds a fresh secret\nrefresh holds a fresh secret\n");
    let secrets = || ["access", "refresh"].map(|name| std::fs::read_to_string(desk.folder.join(name)).unwrap());
    let first = secrets();
    assert!(first[0] != first[1] && first.iter().all(|secret| secret.trim_end().len() >= 43));
    let mode = std::fs::metadata(desk.folder.join("access")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "only the owner has access: {mode:o}");
    let kept = desk.run(&["keygen", "access", "refresh"], "").is(0);
    assert!(kept.err.starts_with("access is there already and stays as it is\n"), "{kept:?}");
    assert_eq!(secrets(), first);
    desk.run(&["keygen", "no/such/folder"], "").is(1);
}

#[test]
fn wrong_settings_stop_the_start_with_one_message() {
    let desk =
        Desk::new().set("BCRYPT_COST", "99").set("REFRESH_TOKEN_SECRET", ACCESS_SECRET).set("DEMO_DATA", "so so");
    let desk = desk.set("AUTH_DATABASE_URL", "postgres://host:99999/auth");
    for arguments in [&[][..], &["serve"]] {
        let ended = desk.run(arguments, "").is(1);
        assert!(ended.err.starts_with("auth-service: the settings are wrong:\n  "), "{ended:?}");
        for name in ["BCRYPT_COST", "REFRESH_TOKEN_SECRET", "DEMO_DATA", "AUTH_DATABASE_URL"] {
            assert!(ended.err.contains(&format!("\n  {name} ")), "{name}: {ended:?}");
        }
        assert!(!ended.err.contains(ACCESS_SECRET), "{ended:?}");
    }
    let ended = desk.run(&["users", "list"], "").is(1);
    assert!(ended.err.contains("BCRYPT_COST") && !ended.err.contains("_SECRET"), "it needs no secret: {ended:?}");
}

#[test]
fn unusable_address_or_file_is_named() {
    for (name, value, expected) in [
        ("AUTH_DATABASE_URL", "sqlite:///nonexistent/auth.db", "/nonexistent/auth.db: unable to open database file"),
        ("AUTH_DATABASE_URL", "sqlite://nofile.db", "nofile.db: unable to open database file; its folder"),
        ("AUTH_ADDR", "192.0.2.1:3000", "AUTH_ADDR: 192.0.2.1:3000 cannot be had"),
    ] {
        let ended = Desk::new().set(name, value).run(&[], "").is(1);
        let last = ended.err.lines().last().unwrap();
        assert!(last.starts_with("auth-service: ") && last.contains(expected), "{ended:?}");
    }
}

/// It would end sessions where there are none, and say that they have ended.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn command_for_another_store_of_sessions_is_refused() {
    let redis = Redis::start().await;
    let desk = Desk::new().set("REDIS_URL", &redis.url());
    desk.run(&["users", "add", "anna"], &format!("{GOOD}\n")).is(0);
    drop(desk.serve());
    desk.run(&["users", "set-role", "anna", "admin"], "").is(0);
    let desk = desk.set("REDIS_URL", "");
    for arguments in [["users", "disable", "anna"], ["sessions", "revoke-all", "anna"]] {
        let ended = desk.run(&arguments, "").is(1);
        assert!(ended.err.contains("keeps its sessions in Redis"), "{ended:?}");
    }
    // A start of the service moves them.
    drop(desk.serve());
    desk.run(&["sessions", "revoke-all", "anna"], "").is(0);
    let desk = desk.set("REDIS_URL", &redis.url());
    let ended = desk.run(&["users", "disable", "anna"], "").is(1);
    assert!(ended.err.contains("keeps its sessions in the database"), "{ended:?}");
}

#[test]
fn unknown_parameter_of_an_address_is_not_logged() {
    let address = "postgres://anna@127.0.0.1:1/auth?pasword=hush-hush";
    for level in ["info", "trace"] {
        let ended =
            Desk::new().set("AUTH_DATABASE_URL", address).set("RUST_LOG", level).run(&["users", "list"], "").is(1);
        assert!(ended.err.contains("127.0.0.1:1") && !ended.err.contains("hush-hush"), "{ended:?}");
    }
}

#[test]
fn existing_file_without_a_usable_secret_fails_keygen() {
    let desk = Desk::new();
    std::fs::write(desk.folder.join("secret"), "short").unwrap();
    let ended = desk.run(&["keygen", "secret"], "").is(1);
    assert!(ended.err.contains("secret is shorter than 32 bytes"), "{ended:?}");
}

#[test]
fn users_are_managed_beside_a_running_service() {
    let desk = Desk::new();
    let service = desk.serve();
    let ended = desk.run(&["users", "add", "Root", "--role", "admin"], &format!("{GOOD}\n")).is(0);
    assert_eq!(ended.out, "root is there, as admin\n");
    desk.run(&["users", "add", "anna"], &format!("{GOOD}\n")).is(0);
    assert_eq!(log_in(service.addr, "anna"), 200);
    let ended = desk.run(&["users", "add", "anna"], &format!("{GOOD}\n")).is(1);
    assert_eq!(ended.err.lines().last(), Some("auth-service: another account has that name"));
    let ended = desk.run(&["users", "add", "ben"], "short\n").is(1);
    assert!(ended.err.contains("the password must have at least 8 characters"), "{ended:?}");
    desk.run(&["users", "set-role", "anna", "admin"], "").is(0);
    desk.run(&["users", "disable", "anna"], "").is(0);
    assert_eq!(log_in(service.addr, "anna"), 401);
    let ended = desk.run(&["users", "set-role", "root", "member"], "").is(1);
    assert!(ended.err.contains("that is the last admin"), "{ended:?}");
    let list = desk.run(&["users", "list"], "").is(0).out;
    let rows: Vec<Vec<_>> = list.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(rows, [["USERNAME", "ROLE", "STATE"], ["root", "admin", "enabled"], ["anna", "admin", "disabled"]]);
}

#[test]
fn import_exit_code_tells_which_lines_were_added() {
    let desk = Desk::new();
    let hash = "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";
    let people = format!("username,password\nanna,{hash}\nben,plain text\n");
    std::fs::write(desk.folder.join("people.csv"), &people).unwrap();
    let none = desk.run(&["users", "import", "people.csv"], "").is(1);
    assert!(none.err.contains("no user was imported, because of 1 of the lines\nline 3: password "), "{none:?}");
    let some = desk.run(&["users", "import", "people.csv", "--skip-invalid"], "").is(3);
    assert!(some.err.ends_with("1 of the lines were not imported: see people.csv.rejected\n"), "{some:?}");
    assert!(some.out.starts_with("1 added; 0 were there already"), "{some:?}");
    let some = desk.run(&["users", "import", "-", "--skip-invalid"], &people).is(3);
    assert!(
        some.err.contains("\nline 3: password is not a bcrypt hash") && !some.err.contains("plain text"),
        "{some:?}"
    );
    std::fs::write(desk.folder.join("people.csv"), people.replace("plain text", hash)).unwrap();
    desk.run(&["users", "import", "people.csv", "--skip-invalid=none"], "").is(0);
    assert!(!desk.folder.join("none").exists());
}

#[test]
fn healthcheck_exit_code_is_the_result() {
    let desk = Desk::new();
    let service = desk.serve();
    desk.run(&["healthcheck", &service.url("/readyz")], "").is(0);
    desk.run(&["healthcheck", &service.url("/livez")], "").is(0);
    let ended = desk.run(&["healthcheck", &service.url("/nowhere")], "").is(1);
    assert!(ended.err.contains("404"), "{ended:?}");
    let own = Desk::bare().set("AUTH_ADDR", &format!("0.0.0.0:{}", service.addr.port()));
    own.run(&["healthcheck"], "").is(0);
    drop(service);
    let ended = own.run(&["healthcheck"], "").is(1);
    assert!(ended.err.starts_with("auth-service: "), "{ended:?}");
}

#[test]
fn effective_settings_are_shown_without_secrets() {
    let desk = Desk::new()
        .set("AUTH_DATABASE_URL", "postgres://anna:hush-hush@localhost/auth")
        .set("REDIS_URL", "redis://:hush-hush@localhost:6379")
        .set("PASSWORD_PEPPER", "hush-hush, a pepper of 32 bytes and more");
    let ended = desk.run(&["config"], "").is(0);
    for line in [
        "AUTH_ADDR=127.0.0.1:0",
        "AUTH_DATABASE_URL=postgres://anna:***@localhost/auth",
        "REDIS_URL=redis://:***@localhost:6379",
        "PASSWORD_PEPPER=***  # set",
        "ACCESS_TOKEN_SECRET_PREVIOUS=  # not set",
        "REFRESH_TOKEN_TTL=7d  # default",
        "LOG_FORMAT=text  # default",
    ] {
        assert!(ended.out.lines().any(|shown| shown == line), "{line}: {}", ended.out);
    }
    assert!(ended.out.contains("ACCESS_TOKEN_SECRET=***  # set, kid "), "{}", ended.out);
    for secret in [ACCESS_SECRET, "hush-hush"] {
        assert!(!format!("{ended:?}").contains(secret), "{ended:?}");
    }
    let ended = desk.set("BCRYPT_COST", "99").run(&["config"], "").is(1);
    assert!(ended.out.is_empty() && ended.err.contains("the settings are wrong:\n  BCRYPT_COST "), "{ended:?}");
}

#[test]
fn an_address_with_a_password_may_be_a_file() {
    let mut desk = Desk::new();
    desk.settings.retain(|(name, _)| *name != "AUTH_DATABASE_URL");
    let desk = desk.set("AUTH_DATABASE_URL_FILE", "address");
    let ended = desk.run(&["users", "list"], "").is(1);
    assert!(ended.err.contains("AUTH_DATABASE_URL_FILE names address, which cannot be read"), "{ended:?}");
    std::fs::write(desk.folder.join("address"), "sqlite://auth.db?mode=rwc\n").unwrap();
    desk.run(&["users", "add", "anna"], "vK7#qz!Lw2").is(0);
    assert!(desk.folder.join("auth.db").exists());
}

/// As in `auth-service openapi | head`.
#[test]
fn closed_pipe_is_no_error() {
    let desk = Desk::new();
    for arguments in [&["openapi"][..], &["config"], &["completions", "bash"]] {
        let mut child = desk.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ended = super::Ended::from(child.wait_with_output().unwrap()).is(0);
        assert_eq!(ended.err, "", "{arguments:?}");
    }
    let mut child = desk.set("AUTH_DATABASE_URL", "sqlite://no/such.db").command(&["doctor"]).spawn().unwrap();
    drop(child.stdout.take());
    super::Ended::from(child.wait_with_output().unwrap()).is(1);
}

#[test]
fn each_shell_gets_its_completions() {
    let desk = Desk::bare();
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.run(&["completions", shell], "").is(0).out;
        assert!(script.contains("revoke-all") && script.contains("doctor"), "{shell}: {script}");
    }
    desk.run(&["completions", "tcsh"], "").is(2);
}

#[test]
fn unreachable_database_is_named_once_with_its_cause() {
    let desk = Desk::new().set("AUTH_DATABASE_URL", "postgres://auth:hush-hush@127.0.0.1:1/auth");
    let log = desk.run(&[], "").is(1).err;
    assert_eq!(
        log.matches("127.0.0.1:1: Connection refused").count(),
        2,
        "once while it waits, once at the end: {log}"
    );
    assert_eq!(log.matches("trying again").count(), 1, "{log}");
    let ended = desk.run(&["doctor"], "").is(1);
    assert!(
        ended.out.contains("FAIL  database    the database is unavailable: 127.0.0.1:1: Connection refused"),
        "{ended:?}"
    );
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
fn refusal_of_the_database_ends_the_start_at_once() {
    let good = server("TEST_POSTGRES_URL");
    let place = good.split_once('@').unwrap().1.split_once('/').unwrap().0;
    for (url, expected) in [
        (good.replace("test:test", "test:hush-hush"), "password authentication failed for user \"test\""),
        (good.replace("/postgres", "/nowhere"), "database \"nowhere\" does not exist"),
    ] {
        let (desk, began) = (Desk::new().set("AUTH_DATABASE_URL", &url), Instant::now());
        for arguments in [&[][..], &["users", "list"]] {
            let ended = desk.run(arguments, "").is(1);
            let last = ended.err.lines().last().unwrap();
            assert_eq!(last, format!("auth-service: the database is unavailable: {place}: {expected}"));
            assert!(!ended.err.contains("trying again") && !ended.err.contains("hush-hush"), "{ended:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(6), "{expected}: {:?}", began.elapsed());
    }
}

#[test]
fn log_filter_without_a_level_is_refused() {
    let ended = Desk::new().set("RUST_LOG", "inof").run(&[], "").is(1);
    assert!(ended.err.contains("\n  RUST_LOG must be a level (error, warn, "), "{ended:?}");
}

#[test]
fn command_with_a_typing_error_names_the_right_one() {
    let desk = Desk::bare();
    for (arguments, expected) in [
        (&["user", "list"][..], "subcommands exist: 'serve', 'users'"),
        (
            &["users", "add", "ben", "--role", "king"],
            "invalid value 'king' for '--role <ROLE>': must be member or admin",
        ),
    ] {
        let ended = desk.run(arguments, "").is(2);
        assert!(ended.err.contains(expected), "{ended:?}");
    }
}

#[test]
fn listings_and_checks_are_json_where_asked() {
    let desk = Desk::new().set("DEMO_DATA", "true").set("TEST_TOKEN_SECRET", ACCESS_SECRET);
    let service = desk.serve();
    assert_eq!(log_in(service.addr, "nobody"), 401);
    let lines = |arguments: &[&str], input: &str| -> Vec<Value> {
        let ended = desk.run(arguments, input).is(0);
        assert!(!ended.err.contains("INFO"), "only warnings are logged: {ended:?}");
        ended.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    let users = lines(&["users", "list", "--json"], "");
    assert_eq!([&users[0]["username"], &users[0]["role"]], ["john", "admin"]);
    assert_eq!(
        [&users[0]["id"], &users[1]["id"]],
        DEMO_PEOPLE.map(|person| person.id),
        "the same in every installation"
    );
    assert!(users.iter().all(|user| user.get("passwordHash").is_none()), "{users:?}");
    let sessions = lines(&["sessions", "list", "anna", "--json"], "");
    assert!(sessions.is_empty(), "{sessions:?}");
    let checks = lines(&["doctor", "--json"], "");
    assert!(checks.iter().any(|check| check["check"] == "database" && check["status"] == "ok"), "{checks:?}");
    let token = desk.run(&["token", "mint", "anna"], "").is(0).out;
    let shown = lines(&["token", "inspect", "-", "--json"], &token);
    assert_eq!(shown[0]["claims"]["sub"], DEMO_PEOPLE[1].id);
}
