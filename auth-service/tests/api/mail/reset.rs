use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::{NEW, address, last_reset, on_each_database, server, start, subject, ticket};
use crate::busy::{in_time, retried};
use crate::redis_server::until;
use crate::service::{GOOD, new_name, text};

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn forgotten_password_is_replaced_by_the_link_in_a_mail() {
    on_each_database(&[("REVOCATION_POLL", "500ms")], async |service| {
        let email = address("anna");
        let person = service.member_with(&email).await;
        let me = service.bearer(&person.pair.access);
        assert_eq!(me.get("/me").await.is(200).json()["emailVerified"], false);
        service.forgot(&email.to_uppercase()).await;
        let mail = &server().mails(&email, 1).await[0];
        assert_eq!(mail["from"], "no-reply@example.org");
        assert_eq!(mail["headers"]["from"], "Tokens <no-reply@example.org>");
        assert_eq!(mail["headers"]["to"], email);
        assert_eq!(mail["headers"]["auto-submitted"], "auto-generated");
        assert!(text(&mail["headers"]["content-type"]).starts_with("text/plain"));
        assert_eq!(
            mail["headers"]["content-transfer-encoding"], "7bit",
            "another encoding could split the link over two lines"
        );
        assert!(text(&mail["body"]).contains(&person.name));
        let ticket = ticket(mail, "reset");

        service.reset(&ticket, NEW).await.is(204);
        let began = Instant::now();
        until("the access token ends", async || me.get("/me").await.status == 401).await;
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
        service.refresh(&person.pair.refresh).await.fails(403, "invalid_refresh_token");
        service.try_log_in((&person.name, GOOD)).await.is(401);
        let access = service.log_in((&email, NEW)).await.access;
        let me = service.bearer(&access).get("/me").await.is(200).json();
        assert_eq!((&me["email"], &me["emailVerified"]), (&json!(email), &json!(true)), "a reset verifies the email");
        service.reset(&ticket, GOOD).await.fails(403, "invalid_reset_token");
        assert_eq!(subject(&server().mails(&email, 2).await[1]), "Your password was changed");
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn fifty_uses_of_one_ticket_give_one_204() {
    on_each_database(&[], async |service| {
        let email = address("anna");
        service.member_with(&email).await;
        let ticket = service.reset_ticket(&email).await;
        let answers = join_all((0..50).map(|_| service.reset(&ticket, NEW))).await;
        let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(204), count(403)), (1, 49), "{answers:?}");
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn ticket_outlives_a_weak_password_and_a_get_and_nothing_else() {
    on_each_database(&[], async |service| {
        let email = address("anna");
        let person = service.member_with(&email).await;
        let first = service.reset_ticket(&email).await;
        service.all_is_sent().await;
        service.forgot(&email).await;
        let second = ticket(&server().mails(&email, 2).await[1], "reset");
        for weak in ["short", "password1234", &person.name] {
            service.reset(&first, weak).await.refuses(&["newPassword"]);
        }
        service.nobody().get(&format!("/reset?token={first}")).await.is(200);
        service.reset(&first, NEW).await.is(204);
        service.reset(&second, NEW).await.fails(403, "invalid_reset_token");

        service.all_is_sent().await;
        service.forgot(&email).await;
        let third = last_reset(&server().mails(&email, 4).await);
        let access = service.log_in((&person.name, NEW)).await.access;
        let change = json!({"currentPassword": NEW, "newPassword": GOOD});
        service.bearer(&access).put("/me/password", &change).await.is(204);
        service.reset(&third, NEW).await.fails(403, "invalid_reset_token");
        for (why, ticket) in [("empty", ""), ("unknown", "A"), ("of the right length", &"A".repeat(43)), ("NUL", "\0")]
        {
            println!("{why}");
            service.reset(ticket, NEW).await.fails(403, "invalid_reset_token");
        }
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn ticket_ends_with_its_time_its_address_and_its_account() {
    on_each_database(&[], async |service| {
        let admin = service.admin().await;
        for why in ["expired", "another address", "disabled", "deleted"] {
            let email = address("anna");
            let person = service.member_with(&email).await;
            let ticket = service.reset_ticket(&email).await;
            let user = format!("/users/{}", person.id);
            match why {
                "expired" => {
                    let expire = format!("UPDATE tickets SET expires_at = 1 WHERE user_id = '{}'", person.id);
                    service.database.execute(&expire).await;
                }
                "another address" => {
                    admin.patch(&user, &json!({"email": address("other")})).await.is(200);
                }
                "disabled" => {
                    admin.patch(&user, &json!({"disabled": true})).await.is(200);
                }
                _ => {
                    admin.delete(&user).await.is(204);
                }
            }
            println!("{why}");
            service.reset(&ticket, NEW).await.fails(403, "invalid_reset_token");
        }
        assert_eq!(service.number("SELECT count(*) FROM tickets WHERE length(hash) <> 43").await, 0, "hashed tickets");
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn reset_forgets_the_failures_before_it() {
    let service = start(&[("ACCOUNT_FAILURE_LIMIT", "1")]).await;
    let email = address("anna");
    let person = service.member_with(&email).await;
    let ticket = service.reset_ticket(&email).await;
    for login in [&person.name, &email] {
        // The first wait is one second.
        in_time(Duration::from_secs(1), async || {
            service.try_log_in((login, "wrong")).await;
            service.try_log_in((login, NEW)).await.fails(429, "too_many_failures");
        })
        .await;
    }
    service.reset(&ticket, NEW).await.is(204);
    service.log_in((&person.name, NEW)).await;
    service.log_in((&email, NEW)).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn fourth_link_of_an_hour_is_not_sent_and_a_notice_is() {
    on_each_database(&[], async |service| {
        let email = address("anna");
        let person = service.member_with(&email).await;
        for count in 1..=3 {
            service.forgot(&email).await;
            server().mails(&email, count).await;
            service.all_is_sent().await;
        }
        service.forgot(&email).await;
        service.all_is_sent().await;
        server().mails(&email, 3).await;
        let change = json!({"currentPassword": GOOD, "newPassword": NEW});
        service.bearer(&person.pair.access).put("/me/password", &change).await.is(204);
        server().mails(&email, 4).await;
        let hour_ago = "UPDATE mailboxes SET first_at = first_at - 3600000";
        service.database.execute(hour_ago).await;
        service.forgot(&email).await;
        server().mails(&email, 5).await;
    })
    .await;
}

/// Many providers deliver all of these to one mailbox.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn addresses_that_differ_in_a_tag_share_the_limit_of_their_mailbox() {
    on_each_database(&[], async |service| {
        let email = address("anna");
        let tagged = ["a", "b", "c", "d"].map(|tag| email.replace('@', &format!("+{tag}@")));
        for email in &tagged {
            service.member_with(email).await;
            service.forgot(email).await;
            service.all_is_sent().await;
        }
        for (email, count) in tagged.iter().zip([1, 1, 1, 0]) {
            server().mails(email, count).await;
        }
    })
    .await;
}

/// Registrations of other users with the address do not count against its owner's limit of reset links.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn registrations_with_an_address_keep_its_owner_from_no_reset() {
    on_each_database(&[], async |service| {
        let email = address("anna");
        service.member_with(&email).await;
        for count in 1..=3 {
            let body = json!({"username": new_name(), "password": GOOD, "email": email});
            service.nobody().post("/register", &body).await.is(201);
            server().mails(&email, count).await;
        }
        service.forgot(&email).await;
        let mails = server().mails(&email, 4).await;
        ticket(&mails[3], "reset");
    })
    .await;
}

/// Asserts that known and unknown addresses take the same time, with retries because the machine may be busy.
async fn assert_same_time(run: impl AsyncFn() -> [Vec<f64>; 2]) {
    retried(async || assert_alike(&run().await), |why| why.contains("they differ: ")).await;
}

/// The sorted times of known and of unknown addresses, measured in turns, in milliseconds.
async fn times(known: impl AsyncFn(usize) -> f64, unknown: impl AsyncFn(usize) -> f64) -> [Vec<f64>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..15 {
        times[0].push(known(round).await);
        times[1].push(unknown(round).await);
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times
}

/// Asserts that the middle halves of the two distributions overlap.
fn assert_alike([known, unknown]: &[Vec<f64>; 2]) {
    let alike = known[3] <= unknown[11] && unknown[3] <= known[11];
    assert!(alike, "they differ: known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn known_and_unknown_addresses_are_answered_alike() {
    on_each_database(&[], async |service| {
        let (email, nobody) = (address("anna"), address("nobody"));
        service.member_with(&email).await;
        let forgot = async |email: &str| service.nobody().post("/password/forgot", &json!({"email": email})).await;
        let (known, unknown) = (forgot(&email).await.is(202), forgot(&nobody).await.is(202));
        assert_eq!((known.body, known.headers.len()), (unknown.body, unknown.headers.len()));
        forgot("anna").await.refuses(&["email"]);
        server().mails(&email, 1).await;
        server().mails(&nobody, 0).await;
        let timed = async |email: &str| {
            service.all_is_sent().await;
            let began = Instant::now();
            forgot(email).await.is(202);
            began.elapsed().as_secs_f64() * 1000.0
        };
        assert_same_time(async || {
            let known: Vec<String> = join_all((0..15).map(|_| async {
                let email = address("timed");
                service.member_with(&email).await;
                email
            }))
            .await;
            times(async |round| timed(&known[round]).await, async |_| timed(&address("unknown")).await).await
        })
        .await;
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn registration_tells_taken_and_free_addresses_apart_by_nothing() {
    on_each_database(&[], async |service| {
        let email = address("taken");
        service.member_with(&email).await;
        let ticket = service.reset_ticket(&email).await;
        service.reset(&ticket, NEW).await.is(204);
        let register = async |email: &str| {
            let body = json!({"username": new_name(), "password": GOOD, "email": email});
            service.all_is_sent().await;
            let began = Instant::now();
            let answer = service.nobody().post("/register", &body).await.is(201);
            assert_eq!(answer.json()["user"]["email"], json!(null));
            began.elapsed().as_secs_f64() * 1000.0
        };
        assert_same_time(async || {
            times(async |_| register(&email).await, async |_| register(&address("free")).await).await
        })
        .await;
    })
    .await;
}
