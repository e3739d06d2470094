//! Both services behind `PgBouncer` in transaction mode, with three connections to Postgres for all instances.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;

use crate::moving::run;
use crate::process::{Folder, Program};
use crate::stack::{PASSWORD, Stack, a_book, unique};
use crate::targets::{Database, binary, is_outside, logged, random_secret};

/// The number of rounds of reads and writes of each caller, and the number of concurrent callers.
const ROUNDS: usize = 10;
const CALLERS: usize = 8;

/// Starts the pooler; returns it and the URLs of `databases` through it.
async fn pooler<const N: usize>(folder: &Folder, databases: [&Database; N]) -> (Program, [String; N]) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = databases[0].url.rsplit_once('@').unwrap().1.rsplit_once('/').unwrap().0.replace(':', " port=");
    let file = folder.path().join("pgbouncer.ini");
    let settings = format!(
        "[databases]\n* = host={server} user=test password=test\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\nmax_user_connections = 3\n"
    );
    fs::write(&file, settings).unwrap();
    let file = file.display().to_string();
    // PgBouncer refuses to run as root.
    let arguments = ["-u", "postgres", &file];
    let arguments = if rustix::process::geteuid().is_root() { &arguments[..] } else { &arguments[2..] };
    let program = Program::start_with(Path::new("/usr/sbin/pgbouncer"), arguments, folder.path(), &[]);
    program.says(|output| output.err.iter().any(|line| line.contains("process up")).then_some(())).await;
    let through = databases.map(|database| {
        let (_, name) = database.url.rsplit_once('/').unwrap();
        format!("postgres://test:test@127.0.0.1:{port}/{name}")
    });
    (program, through)
}

/// A user registers, refreshes, and reads and writes books.
async fn visit(stack: &Stack, admin: &str) {
    let name = unique("visitor");
    stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    let mut tokens = stack.log_in(&name, PASSWORD).await;
    for round in 0..ROUNDS {
        tokens = stack.refresh(&tokens.refresh).await.tokens();
        let sessions = stack.auth().bearer(&tokens.access).get("/me/sessions").await.is(200).json();
        assert_eq!(sessions.as_array().unwrap().len(), 1);
        let title = format!("{name} {round}");
        let book = stack.books().bearer(admin).post("/books", a_book(&title)).await.is(201).json();
        let id = book["book"]["id"].as_str().unwrap();
        let read = stack.books().bearer(&tokens.access).get(&format!("/books/{id}")).await.is(200).json();
        assert_eq!(read["title"], *title);
        let found = stack.books().bearer(&tokens.access).get(&format!("/books?q={name}")).await.is(200).json();
        assert_eq!(found.as_array().unwrap().len(), round + 1);
        let people = stack.auth().bearer(admin).get(&format!("/users?q={name}")).await.is(200).json();
        assert_eq!(people.as_array().unwrap().len(), 1);
    }
    stack.auth().post("/logout", json!({"token": tokens.refresh})).await.is(200);
    stack.refresh(&tokens.refresh).await.is(403);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and PgBouncer: ./test")]
async fn both_services_work_behind_a_pooler_in_transaction_mode() {
    if is_outside("a pooler") {
        return;
    }
    let (folder, people, library) = (Folder::new(), Database::new().await, Database::new().await);
    let (pooler, [auth_url, books_url]) = pooler(&folder, [&people, &library]).await;
    let (access, refresh) = (random_secret(), random_secret());
    let settings = [
        ("AUTH_DATABASE_URL", &*auth_url),
        ("BOOKS_DATABASE_URL", &books_url),
        ("ACCESS_TOKEN_SECRET", &access),
        ("REFRESH_TOKEN_SECRET", &refresh),
        ("AUTH_ADDR", "127.0.0.1:0"),
        ("BOOKS_ADDR", "127.0.0.1:0"),
        ("DEMO_DATA", "true"),
        ("WORKERS", "2"),
        ("BCRYPT_COST", "4"),
        ("IP_RATE_LIMIT", "0"),
    ];
    // Both instances of a service start at once on an empty database.
    let instances = ["auth-service", "auth-service", "books-service", "books-service"]
        .map(|name| Program::start(&binary(name), folder.path(), &settings));
    let urls = join_all(instances.iter().map(logged)).await;
    let stacks = [0, 1].map(|of| Stack::new("pooled", urls[of].clone(), urls[of + 2].clone()));
    let admin = stacks[0].john().await.access;
    join_all((0..CALLERS).map(|caller| visit(&stacks[caller % 2], &admin))).await;

    for (program, database, arguments) in [
        ("auth-service", ("AUTH_DATABASE_URL", &*auth_url), &["users"][..]),
        ("books-service", ("BOOKS_DATABASE_URL", &books_url), &[]),
    ] {
        let lines = run(program, &[arguments, &["export"]].concat(), &[database], &folder, b"");
        run(program, &[arguments, &["import", "-"]].concat(), &[database], &folder, &lines);
        assert_eq!(run(program, &[arguments, &["export"]].concat(), &[database], &folder, b""), lines);
    }
    for instance in instances {
        instance.signal(Signal::TERM);
        assert_eq!(instance.end().await.0, Some(0));
    }
    drop(pooler);
    people.remove().await;
    library.remove().await;
}
