//! The command blocks of README.md and docs/runbook.md: each is run, or has a reason why it is not.

/// A reader of the documents who runs their commands.
mod reader;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use serde_json::Value;
use tokio::time::{Duration, sleep, timeout};

use self::reader::Reader;
use crate::process::{PATIENCE, file, root};
use crate::stack::{PASSWORD, Stack};
use crate::targets::{Database, binary, greeted, is_outside};

/// A part of a block, and the reason why that block is not run here.
const NOT_RUN: [(&str, &str); 14] = [
    ("docker ", "needs docker: ./test --compose starts the same files"),
    ("kubectl ", "needs a cluster: ./test validates the manifests"),
    ("systemctl ", "needs systemd as process 1, and root: ./test verifies the units"),
    ("/var/lib/", "needs the folders of the units"),
    ("LoadCredential=", "is part of a unit"),
    ("./test", "runs this test"),
    ("mongoexport ", "needs databases of other programs: the import's own tests read their exports"),
    ("this database was made by", "is a message"),
    ("databases.sql", "makes roles of the whole server: ./test --compose does it at the start of its Postgres"),
    ("backup auth-backup.db", "backups.rs runs it"),
    ("restore auth-backup.db", "backups.rs runs it"),
    ("pg_dump ", "backups.rs runs it"),
    ("pg_restore ", "backups.rs runs it"),
    ("redis-cli ", "needs the server of a production"),
];

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and curl: ./test")]
async fn every_command_of_readme_and_runbook_is_run_or_says_why_not() {
    if is_outside("the commands of the documents") {
        return;
    }
    let mut reader = Reader::new();
    let running = reader.start(&reader.blocks[0].clone());
    let _ = reader.take("# auth-service   http://localhost:3000");
    let stack = greeted(&running).await;
    quick_start(&mut reader, &stack).await;
    runbook(&mut reader, &stack);
    move_to_postgres(&mut reader).await;
    reader.stop();
    drop(running);
    third_service(&mut reader).await;
    let has_reason = |block: &String| NOT_RUN.iter().any(|(part, _)| block.contains(part));
    let left: Vec<_> = reader.blocks.iter().filter(|block| !has_reason(block)).collect();
    assert!(left.is_empty(), "run these here, or give the reason in NOT_RUN: {left:#?}");
}

async fn quick_start(reader: &mut Reader, stack: &Stack) {
    let script: String =
        ["post() {", "# log in", "# call a service", "# refresh:", "# log out"].map(|part| reader.take(part)).concat();
    let script = script.replace("localhost:3000", &stack.auth).replace("localhost:4000", &stack.books);
    let said = reader.run(&script, "");
    for part in ["\"tokenType\":\"Bearer\"", "Chinua Achebe", "Logout successful", "The session has ended"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let add = reader.take("users add alice");
    reader.run(&add, &format!("{PASSWORD}\n"));
    let alice = stack.log_in("alice", PASSWORD).await;
    stack.auth().bearer(alice.access).get("/users").await.is(200);
}

/// Runs the commands of the runbook while local-stack is running, with its settings.
fn runbook(reader: &mut Reader, stack: &Stack) {
    let address = |url: &str| url.replace("http://localhost", "127.0.0.1");
    let settings = format!(
        "{}export AUTH_DATABASE_URL='sqlite://data/auth.db?mode=rw' DEMO_DATA=true AUTH_ADDR={} BOOKS_ADDR={}\n",
        reader.take(". data/secrets.env; set +a"),
        address(&stack.auth),
        address(&stack.books)
    )
    .replace('\n', ";");
    let with = |block: String| block.lines().flat_map(|line| [settings.as_str(), line, "\n"]).collect::<String>();
    // The second block is about mail.
    for _ in 0..2 {
        let doctor = with(reader.take("auth-service doctor"));
        assert!(!reader.run(&doctor, "").contains("FAIL"));
    }
    let log_in = r#"curl -s $AUTH/login -H 'Content-Type: application/json' -d '{"username":"anna","password":"password123member"}'"#;
    let tokens: Value = serde_json::from_str(&reader.run(&log_in.replace("$AUTH", &stack.auth), "")).unwrap();
    let token = with(reader.take("token inspect -"));
    assert!(reader.run_lines(&token, tokens["accessToken"].as_str().unwrap()).contains("accepted"));
    let keygen = reader.take("keygen  ");
    assert!(reader.run(&keygen, "").contains("REFRESH_TOKEN_SECRET="));
    let key = reader.take("keygen --algorithm").replace("/etc/auth-service/", "");
    reader.run(&key, "");
    let listed = reader.run(&with("auth-service sessions list anna --json".to_owned()), "");
    let session: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let sessions = with(reader.take("sessions revoke-all NAME"));
    let sessions = sessions.replace("NAME", "anna").replace("ID", session["id"].as_str().unwrap());
    assert!(reader.run_lines(&sessions, "").contains("0 sessions ended"), "the session was ended by its id before");
    let locked_out = with(reader.take("users set-password NAME"));
    let locked_out = locked_out.replace("set-password NAME", "set-password anna").replace("NAME", "ben");
    reader.run_lines(&locked_out, &format!("{PASSWORD}\n"));
}

async fn move_to_postgres(reader: &mut Reader) {
    let (people, library) = (Database::new().await, Database::new().await);
    let block = reader.take("users export >people.jsonl");
    let block = block.replacen("postgres://…", &people.url, 1).replacen("postgres://…", &library.url, 1);
    let old = "export AUTH_DATABASE_URL='sqlite://data/auth.db?mode=rw' BOOKS_DATABASE_URL='sqlite://data/books.db?mode=rw'\n";
    let said = reader.run(&format!("{old}{block}"), "");
    assert!(said.contains("4 added;") && said.contains("3 added;"), "{said}");
    people.remove().await;
    library.remove().await;
}

async fn third_service(reader: &mut Reader) {
    let block = reader.take("cargo run --bin orders-service");
    let (stack, service) = block.split_once('\n').unwrap();
    let running = reader.start(stack);
    let stack = greeted(&running).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let orders = reader.start(&service.replace("http://localhost:3000", &stack.auth).replace("127.0.0.1:5000", &free));
    let starts = async || {
        while stack.client.get(format!("http://{free}/orders")).send().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(PATIENCE, starts()).await.is_ok(), "orders-service does not start");
    let token = stack.log_in("alice", PASSWORD).await.access;
    let answer = stack.client.get(format!("http://{free}/orders")).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    orders
        .says(|output| output.err.iter().any(|line| line.contains("the audience orders-service")).then_some(()))
        .await;
    reader.stop();
}

/// Runs the steps of `examples/e2e/workflow.yml` in a folder with the same layout.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs curl: ./test")]
async fn workflow_of_end_to_end_tests_starts_a_stack_with_its_seed() {
    let mut reader = Reader::new();
    let workflow = file("examples/e2e/workflow.yml");
    let (_, steps) = workflow.split_once("run: cd stack && cargo build --bins\n").unwrap();
    let (script, rest) = steps.split_once("run: |\n").unwrap().1.split_once("        env: ").unwrap();
    let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string());
    for (name, value) in [("AUTH_ADDR", &ports[0]), ("BOOKS_ADDR", &ports[1])] {
        reader.settings.retain(|(known, _)| *known != name);
        reader.settings.push((name, value.clone()));
    }
    assert!(rest.contains("BCRYPT_COST: \"4\", ALLOWED_ORIGINS: \"http://localhost:5173\""), "{rest}");
    reader.settings.push(("ALLOWED_ORIGINS", "http://localhost:5173".to_owned()));
    let (folder, programs) = (reader.folder.path(), binary("local-stack").parent().unwrap().to_owned());
    fs::create_dir_all(folder.join("stack/target")).unwrap();
    symlink(programs, folder.join("stack/target/debug")).unwrap();
    symlink(root().join("examples/e2e"), folder.join("e2e")).unwrap();
    let script = script.replace("localhost:4000", &ports[1]).replace("--retry-delay 1", "--retry-delay 0");
    reader.run(&format!("{script}\necho $! >>pids"), "");
    let [auth, books] = ports.map(|place| format!("http://{place}"));
    let stack = Stack::new("end to end", auth, books);
    let alice = stack.log_in("alice", PASSWORD).await;
    let found = stack.books().bearer(alice.access).get("/books?title=Pride").await.is(200).json();
    assert_eq!(found[0]["id"], "01a22348-3dd3-7647-bff0-f0729b2e478c", "{found}");
}

#[test]
fn testing_document_shows_the_steps_of_the_workflow() {
    let (document, workflow) = (file("docs/testing.md"), file("examples/e2e/workflow.yml"));
    let shown = document.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0.to_owned();
    assert!(workflow.contains(&shown), "docs/testing.md and examples/e2e/workflow.yml differ");
}
