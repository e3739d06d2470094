use std::sync::Arc;

use serde_json::{Value, json};

use super::{NEW, address, on_each_database, server, start, start_on, subject, ticket, verify};
use crate::database::Database;
use crate::service::{GOOD, Service, TokenPair, new_name, text};

/// Registers a user with an address, and logs them in.
async fn register(service: &Service, email: &str) -> (String, TokenPair) {
    let name = new_name();
    let body = json!({"username": name, "password": GOOD, "email": email});
    let user = service.nobody().post("/register", &body).await.is(201).json()["user"].clone();
    assert_eq!((&user["email"], &user["emailVerified"]), (&json!(null), &json!(false)));
    let pair = service.log_in((&name, GOOD)).await;
    (name, pair)
}

async fn me(service: &Service, pair: &TokenPair) -> Value {
    service.bearer(&pair.access).get("/me").await.is(200).json()
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn address_is_the_accounts_once_it_is_verified_by_its_user() {
    on_each_database(&[], async |service| {
        let email = address("anna");
        let (name, pair) = register(service, &email).await;
        let mail = &server().mails(&email, 1).await[0];
        let ticket = ticket(mail, "verify");
        assert!(text(&mail["body"]).contains(&name));
        service.try_log_in((&email, GOOD)).await.is(401);
        service.forgot(&email).await;

        let (nobody, other) = (service.nobody(), service.member().await);
        nobody.get(&format!("/verify?token={ticket}")).await.is(200);
        verify(&nobody, &ticket, None).await.fails(401, "missing_token");
        verify(&nobody, &ticket, Some(NEW)).await.fails(401, "invalid_credentials");
        verify(&other, &ticket, None).await.fails(403, "invalid_verification_token");
        verify(&other, &ticket, Some(GOOD)).await.fails(403, "invalid_verification_token");
        verify(&service.bearer("x"), &ticket, Some(GOOD)).await.fails(401, "invalid_token");
        verify(&nobody, "unknown", Some(GOOD)).await.fails(403, "invalid_verification_token");
        service.reset(&ticket, NEW).await.fails(403, "invalid_reset_token");
        assert_eq!(me(service, &pair).await["email"], json!(null));

        verify(&service.bearer(&pair.access), &ticket, None).await.is(204);
        let after = me(service, &pair).await;
        assert_eq!((&after["email"], &after["emailVerified"]), (&json!(email), &json!(true)));
        let admin = service.admin().await;
        let record = admin.get(&format!("/users/{}", text(&after["id"]))).await.is(200).json();
        assert_eq!(record["emailVerified"], true);
        service.log_in((&email, GOOD)).await;
        verify(&nobody, &ticket, Some(GOOD)).await.fails(403, "invalid_verification_token");
        server().mails(&email, 1).await;
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn first_verification_of_an_address_wins() {
    on_each_database(&[], async |service| {
        let email = address("both");
        let (_, one) = register(service, &email).await;
        let (other_name, _) = register(service, &email).await;
        let mails = server().mails(&email, 2).await;
        let tickets: Vec<_> = mails.iter().map(|mail| ticket(mail, "verify")).collect();
        let is_of_other = |mail: &Value| text(&mail["body"]).contains(&other_name);
        let (others, ones) = if is_of_other(&mails[0]) { (0, 1) } else { (1, 0) };
        verify(&service.nobody(), &tickets[others], Some(GOOD)).await.is(204);
        verify(&service.bearer(&one.access), &tickets[ones], None).await.fails(409, "email_taken");
        assert_eq!(me(service, &one).await["email"], json!(null));
        service.log_in((&email, GOOD)).await;

        // The third mail to this address goes to its owner, and contains no link.
        register(service, &email).await;
        let mails = server().mails(&email, 3).await;
        assert_eq!(subject(&mails[2]), "You have an account already");
        assert!(text(&mails[2]["body"]).contains(&other_name) && !text(&mails[2]["body"]).contains("token="));
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn unverified_address_of_another_account_goes_to_who_verifies_it() {
    on_each_database(&[], async |service| {
        let email = address("old");
        let old = service.member_with(&email).await;
        service.log_in((&email, GOOD)).await;
        let (_, pair) = register(service, &email).await;
        let ticket = ticket(&server().mails(&email, 1).await[0], "verify");
        verify(&service.bearer(&pair.access), &ticket, None).await.is(204);
        assert_eq!(me(service, &old.pair).await["email"], json!(null));
        assert_eq!(me(service, &pair).await["email"], json!(email));
        let taken = json!({"username": new_name(), "password": GOOD, "email": email});
        service.admin().await.post("/users", &taken).await.fails(409, "email_taken");
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn address_from_before_mail_was_on_logs_in_and_is_unverified() {
    for database in Database::each().await {
        let (database, email) = (Arc::new(database), address("before"));
        let off = Service::start_on(Arc::clone(&database), []).await;
        let body = json!({"username": new_name(), "password": GOOD, "email": email});
        assert_eq!(off.nobody().post("/register", &body).await.is(201).json()["user"]["email"], json!(email));
        drop(off);
        let on = start_on(database, &[]).await;
        let pair = on.log_in((&email, GOOD)).await;
        let profile = me(&on, &pair).await;
        assert_eq!((&profile["email"], &profile["emailVerified"]), (&json!(email), &json!(false)));
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn another_address_takes_the_place_of_the_one_before_when_it_is_verified() {
    on_each_database(&[], async |service| {
        let [old, wrong, new] = ["old", "wrong", "new"].map(address);
        let person = service.member_with(&old).await;
        let caller = service.bearer(&person.pair.access);
        let body = |email: &str, password: &str| json!({"email": email, "currentPassword": password});
        caller.put("/me/email", &body(&new, NEW)).await.fails(401, "invalid_credentials");
        caller.put("/me/email", &body("new", GOOD)).await.refuses(&["email"]);
        service.nobody().put("/me/email", &body(&new, GOOD)).await.fails(401, "missing_token");
        caller.put("/me/email", &body(&wrong, GOOD)).await.is(202);
        let first = ticket(&server().mails(&wrong, 1).await[0], "verify");
        service.all_is_sent().await;
        caller.put("/me/email", &body(&new, GOOD)).await.is(202);
        let second = ticket(&server().mails(&new, 1).await[0], "verify");
        assert_eq!(subject(&server().mails(&old, 2).await[1]), "Your address is being changed");
        assert_eq!(me(service, &person.pair).await["email"], json!(old));
        verify(&caller, &first, None).await.fails(403, "invalid_verification_token");
        verify(&caller, &second, None).await.is(204);
        let after = me(service, &person.pair).await;
        assert_eq!((&after["email"], &after["emailVerified"]), (&json!(new), &json!(true)));
        service.try_log_in((&old, GOOD)).await.is(401);
        service.log_in((&new, GOOD)).await;

        let path = format!("/users/{}", person.id);
        let record = service.admin().await.patch(&path, &json!({"email": old})).await.is(200).json();
        assert_eq!(
            (&record["email"], &record["emailVerified"]),
            (&json!(old), &json!(false)),
            "an email set by an admin is unverified"
        );
        assert_eq!(subject(&server().mails(&new, 2).await[1]), "Your address is being changed");
    })
    .await;
}

/// A claim whose mail is deferred has no ticket yet. A ticket made later would be one for the new password.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn claim_that_waits_ends_with_a_new_password() {
    on_each_database(&[], async |service| {
        let [email, claimed] = ["anna", "450"].map(address);
        let person = service.member_with(&email).await;
        let claim = json!({"email": claimed, "currentPassword": GOOD});
        service.bearer(&person.pair.access).put("/me/email", &claim).await.is(202);
        server().refused(&claimed, 1).await;
        let reset = service.reset_ticket_after(&email, 1).await;
        service.reset(&reset, NEW).await.is(204);
        assert_eq!(service.number("SELECT count(*) FROM outbox WHERE kind = 'verify'").await, 0);
        assert_eq!(service.number("SELECT count(*) FROM tickets").await, 0);
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn later_claim_takes_the_place_of_one_that_waits() {
    on_each_database(&[], async |service| {
        let [mistyped, right] = ["450", "anna"].map(address);
        let person = service.member_with(&address("old")).await;
        let caller = service.bearer(&person.pair.access);
        let claim = |email: &str| json!({"email": email, "currentPassword": GOOD});
        caller.put("/me/email", &claim(&mistyped)).await.is(202);
        server().refused(&mistyped, 1).await;
        caller.put("/me/email", &claim(&right)).await.is(202);
        let link = ticket(&server().mails(&right, 1).await[0], "verify");
        server().mend(&mistyped);
        service.database.execute("UPDATE outbox SET next_at = 0").await;
        service.forgot(&address("unknown")).await;
        service.all_is_sent().await;
        server().mails(&mistyped, 0).await;
        verify(&caller, &link, None).await.is(204);
    })
    .await;
}

/// Nothing is issued for the second address, because its mailbox is refused.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn later_claim_ends_the_ticket_of_the_one_before_it_at_once() {
    on_each_database(&[], async |service| {
        let [mistyped, right] = ["wrong", "550"].map(address);
        let person = service.member_with(&address("old")).await;
        let caller = service.bearer(&person.pair.access);
        let claim = |email: &str| json!({"email": email, "currentPassword": GOOD});
        caller.put("/me/email", &claim(&mistyped)).await.is(202);
        let first = ticket(&server().mails(&mistyped, 1).await[0], "verify");
        caller.put("/me/email", &claim(&right)).await.is(202);
        verify(&caller, &first, None).await.fails(403, "invalid_verification_token");
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn account_sends_to_three_mailboxes_an_hour() {
    on_each_database(&[], async |service| {
        let person = service.member_with(&address("old")).await;
        let caller = service.bearer(&person.pair.access);
        let mailboxes = [(); 4].map(|()| address("many"));
        for email in &mailboxes {
            caller.put("/me/email", &json!({"email": email, "currentPassword": GOOD})).await.is(202);
            service.all_is_sent().await;
        }
        for (email, count) in mailboxes.iter().zip([1, 1, 1, 0]) {
            server().mails(email, count).await;
        }
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn new_password_and_replay_are_told_by_mail_and_a_login_is_not() {
    let service = start(&[("REFRESH_GRACE", "0")]).await;
    let email = address("anna");
    let person = service.member_with(&email).await;
    let path = format!("/users/{}", person.id);
    service.admin().await.patch(&path, &json!({"password": NEW})).await.is(200);
    assert_eq!(subject(&server().mails(&email, 1).await[0]), "Your password was changed");
    let pair = service.log_in((&person.name, NEW)).await;
    service.refresh(&pair.refresh).await.is(200);
    service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
    assert_eq!(subject(&server().mails(&email, 2).await[1]), "A device was signed out");
    service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
    service.all_is_sent().await;
    server().mails(&email, 2).await;
}
