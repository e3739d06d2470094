use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Desk, Ended};
use crate::database::Database;
use crate::service::{ADMIN, GOOD, MEMBER};

/// The result of a start that fails.
async fn refused(desk: &Desk) -> Ended {
    let mut child = desk.command(&[]).spawn().unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ended::from(child.wait_with_output().unwrap()).is(1)
}

/// Asserts that the start is refused, and that doctor fails, because of exactly these accounts.
async fn assert_open(desk: &Desk, names: &[&str]) {
    let said = async || [refused(desk).await.err, desk.run(&["doctor"], "").is(1).out];
    let mut told = said().await;
    // A busy machine may keep the database from answering in time.
    for _ in 0..10 {
        if told.iter().all(|said| said.contains("published demo password")) {
            break;
        }
        told = said().await;
    }
    for said in &told {
        let line =
            said.lines().find(|line| line.contains("published demo password")).unwrap_or_else(|| panic!("{said}"));
        for name in [ADMIN.0, MEMBER.0] {
            assert_eq!(line.contains(&format!("account {name}")), names.contains(&name), "{name}: {line}");
        }
        assert!(line.contains("auth-service users set-password"), "the message names the remedy: {line}");
        assert!(![ADMIN.1, MEMBER.1].iter().any(|password| said.contains(password)), "{said}");
    }
}

fn assert_closed(desk: &Desk) {
    drop(desk.serve());
    let examined = desk.run(&["doctor"], "").is(0);
    assert!(examined.out.contains("no published demo password opens an account"), "{}", examined.out);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn published_demo_password_stops_the_start_and_fails_doctor() {
    let postgres = Database::postgres().await;
    for url in ["sqlite://auth.db?mode=rwc", &postgres.url] {
        let mut demo = Desk::new().set("AUTH_DATABASE_URL", url).set("DEMO_DATA", "true");
        drop(demo.serve());
        demo.run(&["doctor"], "").is(0);
        let people = demo.run(&["users", "export"], "").is(0).out;
        demo.settings.pop();
        let desk = demo;
        assert_open(&desk, &["john", "anna"]).await;
        desk.run(&["users", "set-password", "john"], GOOD).is(0);
        assert_open(&desk, &["anna"]).await;
        desk.run(&["users", "disable", "anna"], "").is(0);
        assert_closed(&desk);
        desk.run(&["users", "enable", "anna"], "").is(0);
        desk.run(&["users", "set-role", "anna", "admin"], "").is(0);
        assert_open(&desk, &["anna"]).await;
        for name in ["john", "anna"] {
            desk.run(&["users", "add", &format!("new-{name}"), "--role", "admin"], GOOD).is(0);
            desk.run(&["users", "delete", name], "").is(0);
        }
        assert_closed(&desk);
        // The accounts are imported again, each with the password of the other.
        let swapped = people.replace("\"john\"", "\"j\"").replace("\"anna\"", "\"john\"").replace("\"j\"", "\"anna\"");
        desk.run(&["users", "import", "-"], &swapped).is(0);
        assert_open(&desk, &["john", "anna"]).await;
    }
}
