use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::{MailServer, address, on_each_database, server, start, start_on, ticket};
use crate::database::Database;
use crate::redis_server::until;
use crate::service::{GOOD, Service, new_name};

const ATTEMPTS: &str = "SELECT coalesce(max(attempts), 0) FROM outbox";
const DUE_AGAIN: &str = "UPDATE outbox SET next_at = 0";

async fn attempts(service: &Service, count: i64) {
    until("it was tried", async || service.number(ATTEMPTS).await == count).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn refused_mail_is_tried_again_later_and_given_up_after_the_fifth_try() {
    on_each_database(&[], async |service| {
        let (mended, lost) = (address("450"), address("450"));
        service.member_with(&mended).await;
        service.forgot(&mended).await;
        server().refused(&mended, 1).await;
        let pause = service.number("SELECT max(next_at) FROM outbox").await - now_ms();
        assert!((50_000..=60_000).contains(&pause), "{pause}");
        server().mend(&mended);
        service.database.execute(DUE_AGAIN).await;
        service.forgot(&address("nobody")).await;
        server().mails(&mended, 1).await;
        service.all_is_sent().await;

        service.member_with(&lost).await;
        service.forgot(&lost).await;
        for (attempt, pause) in [(1, 60), (2, 300), (3, 1800), (4, 7200)] {
            server().refused(&lost, attempt).await;
            let left = service.number("SELECT max(next_at) FROM outbox").await - now_ms();
            assert!((pause * 1000 - 15_000..=pause * 1000).contains(&left), "{attempt}: {left}");
            service.database.execute(DUE_AGAIN).await;
            service.forgot(&address("nobody")).await;
        }
        service.all_is_sent().await;
        server().mails(&lost, 0).await;
    })
    .await;
}

/// A stranger may repeat the request: it hastens the next try, and uses up none.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn repeated_requests_use_up_no_try() {
    on_each_database(&[], async |service| {
        let email = address("450");
        service.member_with(&email).await;
        service.forgot(&email).await;
        server().refused(&email, 1).await;
        for attempt in 2..=7 {
            service.forgot(&email).await;
            let left = service.number("SELECT max(next_at) FROM outbox").await - now_ms();
            assert!(left <= 60_000, "{left}");
            service.database.execute(DUE_AGAIN).await;
            service.forgot(&address("nobody")).await;
            server().refused(&email, attempt).await;
        }
        server().mend(&email);
        service.database.execute(DUE_AGAIN).await;
        service.forgot(&address("nobody")).await;
        server().mails(&email, 1).await;
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn mail_to_a_recipient_that_is_not_there_is_given_up_at_once() {
    let service = start(&[]).await;
    let email = address("550");
    service.member_with(&email).await;
    service.forgot(&email).await;
    service.all_is_sent().await;
    server().mend(&email);
    server().mails(&email, 0).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn mail_whose_sender_is_refused_is_tried_again() {
    let service = start(&[]).await;
    let email = address("553");
    service.member_with(&email).await;
    service.forgot(&email).await;
    server().refused(&email, 1).await;
    server().mend(&email);
    service.database.execute(DUE_AGAIN).await;
    service.forgot(&address("nobody")).await;
    server().mails(&email, 1).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn mail_to_an_address_that_the_server_cannot_take_is_given_up_at_once() {
    let ascii = MailServer::start("ascii", &[]);
    let service = start(&[("SMTP_URL", &format!("smtp+plain://127.0.0.1:{}", ascii.port))]).await;
    service.member_with(&address("jürgen")).await;
    service.all_is_sent().await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn silent_or_absent_mail_server_holds_up_no_request_and_no_other_mail() {
    let service = start(&[]).await;
    let (silent, email) = (address("silence"), address("anna"));
    service.member_with(&silent).await;
    service.member_with(&email).await;
    service.forgot(&silent).await;
    attempts(&service, 1).await;
    service.forgot(&email).await;
    server().mails(&email, 1).await;
    service.nobody().get("/readyz").await.is(200);

    let away = Service::start([
        ("SMTP_URL", "smtps://user:password@127.0.0.1:1"),
        ("MAIL_FROM", "no-reply@example.org"),
        ("PUBLIC_URL", super::PUBLIC_URL),
    ])
    .await;
    away.member_with(&email).await;
    let began = Instant::now();
    away.forgot(&email).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    attempts(&away, 1).await;
    away.forgot(&email).await;
    assert_eq!(away.number("SELECT count(*) FROM outbox").await, 1, "the outbox holds one row for the address");
    away.nobody().get("/readyz").await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn full_outbox_is_503() {
    on_each_database(&[], async |service| {
        let fill = "INSERT INTO outbox (id, kind, email, user_id, next_at, attempts)
            WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10000)
            SELECT 'x' || x, 'reset', 'x' || x || '@example.org', '', 9000000000000, 1 FROM n";
        service.database.execute(fill).await;
        let mut impatient = service.nobody();
        impatient.service = service;
        let body = json!({"email": address("anna")}).to_string();
        let url = format!("http://{}/password/forgot", service.addr);
        let post = service.client.post(url).header("Content-Type", "application/json").body(body);
        assert_eq!(post.send().await.unwrap().status(), 503);
        service.database.execute("DELETE FROM outbox").await;
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn each_mail_is_sent_by_one_of_several_instances() {
    for database in Database::each().await {
        let database = Arc::new(database);
        let instances = [
            start_on(Arc::clone(&database), &[]).await,
            start_on(Arc::clone(&database), &[]).await,
            start_on(database, &[]).await,
        ];
        let people: Vec<_> = (0..20).map(|_| address("many")).collect();
        let admin = instances[0].admin().await;
        for email in &people {
            let body = json!({"username": new_name(), "password": GOOD, "email": email});
            admin.post("/users", &body).await.is(201);
        }
        join_all(people.iter().enumerate().map(|(number, email)| instances[number % 3].forgot(email))).await;
        instances[0].all_is_sent().await;
        for email in &people {
            let mails = server().kept(email);
            assert_eq!(mails.len(), 1, "{mails:?}");
            ticket(&mails[0], "reset");
        }
    }
}

fn now_ms() -> i64 {
    shared_service::clock::now_ms()
}
