//! `GET /revocations`, and the use that auth-service itself makes of the list.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::answer::{Answer, names};
use crate::caller::Caller;
use crate::database::{Database, server};
use crate::forge::access_claims;
use crate::redis_server::{Redis, until};
use crate::service::{GOOD, Person, Service, on_each_store, text};

const SOON: (&str, &str) = ("REVOCATION_POLL", "20ms");
const NEW: &str = "Mz4?tuRnip-9";

/// Ways to revoke tokens: the name, true if the list names the user, and true for each of their two sessions that it
/// names.
const SOURCES: [(&str, bool, [bool; 2]); 11] = [
    ("logout", false, [true, false]),
    ("replay", false, [true, false]),
    ("one device", false, [true, false]),
    // One entry for the user revokes all the sessions.
    ("all devices", true, [false, false]),
    ("password change", true, [false, false]),
    ("password by an admin", true, [false, false]),
    ("role change", true, [false, false]),
    ("disable", true, [false, false]),
    ("sign-out by an admin", true, [false, false]),
    ("delete", true, [false, false]),
    ("leave", true, [false, false]),
];

impl Service {
    async fn revocations(&self, query: &str) -> Answer {
        self.nobody().get(&format!("/revocations{query}")).await
    }

    /// The entries after `cursor`, and the next cursor.
    async fn revoked_since(&self, cursor: &str) -> (Vec<Value>, String) {
        let list = self.revocations(&format!("?after={cursor}")).await.is(200).json();
        assert_eq!(names(&list), ["cursor", "entries"]);
        (list["entries"].as_array().unwrap().clone(), text(&list["cursor"]))
    }

    /// Revokes tokens of `person` in the way `source`.
    async fn revoke(&self, source: &str, person: &Person) {
        let (me, admin) = (self.bearer(&person.pair.access), self.admin().await);
        let user = format!("/users/{}", person.id);
        let session = access_claims(&person.pair.access).sid;
        match source {
            "logout" => self.log_out(&person.pair.refresh).await.is(200),
            "replay" => {
                let next = self.refresh(&person.pair.refresh).await.is(200).pair();
                self.refresh(&next.refresh).await.is(200);
                self.refresh(&person.pair.refresh).await.fails(403, "invalid_refresh_token")
            }
            "one device" => me.delete(&format!("/me/sessions/{session}")).await.is(204),
            "all devices" => me.delete("/me/sessions").await.is(204),
            "password change" => {
                me.put("/me/password", &json!({"currentPassword": GOOD, "newPassword": NEW})).await.is(204)
            }
            "password by an admin" => admin.patch(&user, &json!({"password": NEW})).await.is(200),
            "role change" => admin.patch(&user, &json!({"role": "admin"})).await.is(200),
            "disable" => admin.patch(&user, &json!({"disabled": true})).await.is(200),
            "sign-out by an admin" => admin.delete(&format!("{user}/sessions")).await.is(204),
            "delete" => admin.delete(&user).await.is(204),
            "leave" => me.delete_with("/me", &json!({"currentPassword": GOOD})).await.is(204),
            other => panic!("{other}"),
        };
    }

    /// Waits until `token` is refused as one whose session has ended.
    async fn refuses(&self, token: &str) {
        until("the token is refused", async || {
            let answer = self.bearer(token).get("/me").await;
            answer.header("www-authenticate").contains("The session has ended")
        })
        .await;
    }
}

#[tokio::test]
async fn each_revocation_is_listed_and_refused_by_auth_service() {
    on_each_store([SOON], async |service| {
        for (source, of_user, [first, second]) in SOURCES {
            println!("{source}");
            let person = service.newcomer().await;
            let other = service.log_in((&person.name, GOOD)).await;
            let bystander = service.newcomer().await;
            let (_, cursor) = service.revoked_since("").await;
            service.revoke(source, &person).await;

            let (entries, _) = service.revoked_since(&cursor).await;
            let ids = [&person.pair, &other].map(|pair| access_claims(&pair.access).sid);
            let told = ids.each_ref().map(|id| entries.iter().any(|entry| entry["sid"] == *id));
            assert_eq!(told, [first, second], "{entries:?}");
            assert_eq!(entries.iter().any(|entry| entry["sub"] == *person.id), of_user, "{entries:?}");
            for entry in entries.iter().filter(|entry| ids.contains(&text_or_empty(&entry["sid"]))) {
                assert_eq!(names(entry), ["sid", "until"]);
            }
            for entry in entries.iter().filter(|entry| entry["sub"] == *person.id) {
                assert_eq!(names(entry), ["notBefore", "sub", "until"]);
                assert!(entry["until"].as_u64() > entry["notBefore"].as_u64(), "{entry}");
            }

            service.refuses(&person.pair.access).await;
            if of_user || second {
                service.refuses(&other.access).await;
            } else {
                service.bearer(&other.access).get("/me").await.is(200);
            }
            service.bearer(&bystander.pair.access).get("/me").await.is(200);
        }
    })
    .await;
}

fn text_or_empty(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn token_issued_after_a_revocation_is_accepted_at_once() {
    on_each_store([SOON], async |service| {
        let person = service.newcomer().await;
        let mut pair = person.pair.clone();
        // Enough rounds that several fall within one second, with reads of the list in between.
        for round in 0..4 {
            service.bearer(&pair.access).delete("/me/sessions").await.is(204);
            let next = service.log_in((&person.name, GOOD)).await;
            service.refuses(&pair.access).await;
            service.bearer(&next.access).get("/me").await.is(200);
            pair = next;
            println!("round {round}");
        }
        let admin = service.admin().await;
        let path = format!("/users/{}", person.id);
        for role in ["admin", "member"] {
            admin.patch(&path, &json!({"role": role})).await.is(200);
            service.refuses(&pair.access).await;
            pair = service.refresh(&pair.refresh).await.is(200).pair();
            service.bearer(&pair.access).get("/me").await.is(200);
            assert_eq!(access_claims(&pair.access).role, role);
        }
        let change = json!({"currentPassword": GOOD, "newPassword": NEW});
        service.bearer(&pair.access).put("/me/password", &change).await.is(204);
        service.refuses(&pair.access).await;
        pair = service.refresh(&pair.refresh).await.is(200).pair();
        service.bearer(&pair.access).get("/me").await.is(200);
    })
    .await;
}

#[tokio::test]
async fn list_is_kept_by_no_cache_and_asked_for_again_by_its_etag() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        let answer = service.revocations("").await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
        let cursor = text(&answer.json()["cursor"]);
        let tag = answer.header("etag").to_owned();
        assert_eq!(tag, format!("W/\"{cursor}\""));

        let again = service.nobody().with("If-None-Match", &tag);
        service.log_out(&person.pair.refresh).await.is(200);
        let changed = again.get(&format!("/revocations?after={cursor}")).await.is(200);
        assert_ne!(changed.header("etag"), tag);
        let sid = access_claims(&person.pair.access).sid;
        assert!(changed.json()["entries"].as_array().unwrap().iter().any(|entry| entry["sid"] == sid));
        let head = service.nobody().call(Method::HEAD, "/revocations", None).await.is(200);
        assert!(head.body.is_empty() && !head.header("etag").is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_lost_cursor_is_answered_by_the_whole_list() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        service.log_out(&person.pair.refresh).await.is(200);
        let sid = access_claims(&person.pair.access).sid;
        let (_, cursor) = service.revoked_since("").await;
        let (list, rest) = cursor.split_once('.').unwrap();
        let far = rest.split('.').map(|_| ".ffffffffffffffff").collect::<String>();
        for after in [
            String::new(),
            "x".to_owned(),
            "%00".to_owned(),
            "%F0%9F%A6%80".to_owned(),
            format!("other.{rest}"),
            format!("{list}{far}"),
            format!("{cursor}.1"),
            list.to_owned(),
            "1".repeat(4000),
        ] {
            let (entries, next) = service.revoked_since(&after).await;
            assert!(entries.iter().any(|entry| entry["sid"] == sid), "{after}");
            assert!(next.starts_with(list), "{after}");
        }
        let (entries, _) = service.revoked_since(&cursor).await;
        assert!(entries.iter().all(|entry| entry["sid"] != sid), "the cursor is still valid");
        service.revocations("?after=a&after=b").await.refuses(&["after"]);
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn instances_serve_the_same_revocation_list() {
    let redis = server("TEST_REDIS_URL");
    for redis in [None, Some(("REDIS_URL", redis.as_str()))] {
        let one = Service::start_on(Database::postgres().await, redis).await;
        let two = Service::start_on(one.database.clone(), redis).await;
        let mut cursor = one.revoked_since("").await.1;
        for round in 0..6 {
            let (here, there) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
            let person = here.newcomer().await;
            here.log_out(&person.pair.refresh).await.is(200);
            let (entries, next) = there.revoked_since(&cursor).await;
            let sid = access_claims(&person.pair.access).sid;
            assert!(entries.iter().any(|entry| entry["sid"] == sid), "an entry of one instance is served by the other");
            let (again, _) = here.revoked_since(&next).await;
            assert!(again.iter().all(|entry| entry["sid"] != sid), "a cursor of one instance is valid at the other");
            cursor = next;
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn outage_of_the_list_is_503_and_ends_by_itself() {
    let mut redis = Redis::with(&[]).await;
    let settings = [SOON, ("REDIS_URL", &*redis.url()), ("REVOCATION_MAX_AGE", "1s")];
    let mut service = Service::start(settings).await;
    let (gone, there) = (service.newcomer().await, service.newcomer().await);
    service.log_out(&gone.pair.refresh).await.is(200);
    service.refuses(&gone.pair.access).await;
    let (_, cursor) = service.revoked_since("").await;
    service.patience = 0;

    redis.stop();
    until("the list cannot be had", async || service.revocations("").await.status == 503).await;
    until("nobody is cleared any more", async || service.bearer(&there.pair.access).get("/me").await.status == 503)
        .await;
    service.bearer(&gone.pair.access).get("/me").await.fails(401, "invalid_token");

    // Redis comes back without its data.
    redis.start_again().await;
    until("the list can be had", async || service.revocations("").await.status == 200).await;
    until("they are cleared", async || service.bearer(&there.pair.access).get("/me").await.status == 200).await;
    service.bearer(&gone.pair.access).get("/me").await.fails(401, "invalid_token");
    let new = service.log_in((&there.name, GOOD)).await;
    service.log_out(&new.refresh).await.is(200);
    service.log_out(&there.pair.refresh).await.is(200);
    service.refuses(&there.pair.access).await;
    let (entries, next) = service.revoked_since(&cursor).await;
    assert_ne!(cursor.split('.').next(), next.split('.').next(), "the cursor names another list");
    assert!(entries.iter().any(|entry| entry["sid"] == access_claims(&new.access).sid));
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn without_a_maximum_age_an_outage_refuses_no_token() {
    let mut redis = Redis::with(&[]).await;
    let mut service = Service::start([SOON, ("REDIS_URL", &*redis.url())]).await;
    let (gone, there) = (service.newcomer().await, service.newcomer().await);
    service.log_out(&gone.pair.refresh).await.is(200);
    service.refuses(&gone.pair.access).await;
    service.patience = 0;
    redis.stop();
    until("the list cannot be had", async || service.revocations("").await.status == 503).await;
    sleep(Duration::from_millis(300)).await; // Several polls.
    service.bearer(&there.pair.access).get("/me").await.is(200);
    service.bearer(&gone.pair.access).get("/me").await.fails(401, "invalid_token");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn unchanged_list_is_304() {
    // A Redis that no other test writes to.
    let redis = Redis::with(&[]).await;
    for settings in [None, Some(("REDIS_URL", &*redis.url()))] {
        let service = Service::start_on(Database::sqlite(), settings).await;
        let answer = service.revocations("").await.is(200);
        let cursor = text(&answer.json()["cursor"]);
        for query in [String::new(), format!("?after={cursor}")] {
            for tag in [answer.header("etag"), "*", &format!("\"other\", \"{cursor}\"")] {
                let same =
                    service.nobody().with("If-None-Match", tag).get(&format!("/revocations{query}")).await.is(304);
                assert_eq!((same.body.as_str(), same.header("etag")), ("", answer.header("etag")));
                assert_eq!(same.header("cache-control"), answer.header("cache-control"));
            }
            service.nobody().with("If-None-Match", "\"other\"").get(&format!("/revocations{query}")).await.is(200);
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn interrupted_deletion_is_completed_by_the_next_attempt() {
    let redis = Redis::with(&[]).await;
    let mut service = Service::start([("REDIS_URL", &*redis.url())]).await;
    let (person, admin) = (service.newcomer().await, service.admin().await.headers);
    service.patience = 0;
    let admin = Caller { service: &service, headers: admin };
    let path = format!("/users/{}", person.id);
    // Redis responds, but refuses writes.
    redis.ask::<()>("CONFIG SET min-replicas-to-write 1").await;
    admin.delete(&path).await.fails(503, "unavailable");
    redis.ask::<()>("CONFIG SET min-replicas-to-write 0").await;
    admin.delete(&path).await.fails(404, "not_found");
    let (entries, _) = service.revoked_since("").await;
    assert!(entries.iter().any(|entry| entry["sub"] == *person.id), "{entries:?}");
}

/// The other entries are served, the list does not count as complete, and sessions end as usual.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn an_entry_that_cannot_be_read_is_left_out() {
    let redis = Redis::with(&[]).await;
    let settings = [SOON, ("REDIS_URL", &*redis.url()), ("REVOCATION_MAX_AGE", "1s")];
    let mut service = Service::start(settings).await;
    let (before, there) = (service.newcomer().await, service.newcomer().await);
    service.log_out(&before.pair.refresh).await.is(200);
    let mut bad = vec![];
    for number in 0..16 {
        let tag = crate::session_store::TAGS[number];
        bad.push((tag, redis.ask::<String>(&format!("XADD revocations:{{{tag}}} * sid x until soon")).await));
    }
    let after = service.newcomer().await;
    service.log_out(&after.pair.refresh).await.is(200);
    for person in [&before, &after] {
        let (entries, _) = service.revoked_since("").await;
        let sid = access_claims(&person.pair.access).sid;
        assert_eq!(entries.iter().filter(|entry| entry["sid"] == sid).count(), 1, "{entries:?}");
        service.bearer(&person.pair.access).get("/me").await.fails(401, "invalid_token");
    }
    service.patience = 0;
    until("nobody is cleared any more", async || service.bearer(&there.pair.access).get("/me").await.status == 503)
        .await;
    let age: u64 = service.revocations("").await.is(200).header("age").parse().unwrap();
    assert!((1..60).contains(&age), "verifiers see that the list is incomplete: {age}");
    let (entries, cursor) = service.revoked_since("").await;
    assert_eq!(service.revoked_since("").await.0, entries, "each entry once, however often the list is read");
    for (tag, id) in bad {
        redis.ask::<i64>(&format!("XDEL revocations:{{{tag}}} {id}")).await;
    }
    until("they are cleared", async || service.bearer(&there.pair.access).get("/me").await.status == 200).await;
    service.log_out(&there.pair.refresh).await.is(200);
    let (entries, _) = service.revoked_since(&cursor).await;
    assert!(entries.iter().any(|entry| entry["sid"] == access_claims(&there.pair.access).sid), "{entries:?}");
}
