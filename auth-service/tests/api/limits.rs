//! Rate limits slow down one client and no other.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::json;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::busy::{in_time, retried};
use crate::caller::Caller;
use crate::database::{Database, server};
use crate::service::{GOOD, MEMBER, Service, new_name, on_each_store};

const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1");
const THREE: (&str, &str) = ("ACCOUNT_FAILURE_LIMIT", "3");

/// The first wait. A guess after it is verified again.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The time limit for counting a call: a call that takes longer to count is allowed.
const COUNTED: Duration = Duration::from_millis(200);

/// A client with its own address: the test acts as the proxy too.
fn at<'a>(service: &'a Service, address: &str) -> Caller<'a> {
    service.nobody().with("X-Forwarded-For", address)
}

/// An address that no other test uses, because all tests share one Redis.
fn new_address() -> String {
    let id = new_name();
    format!("2001:db8:{}:{}::1", &id[1..5], &id[5..9])
}

async fn log_in(caller: &Caller<'_>, login: &str, password: &str) -> Answer {
    let field = if login.contains('@') { "email" } else { "username" };
    caller.post("/login", &json!({field: login, "password": password})).await
}

/// Asserts a 429 with this code, and returns its `Retry-After` in seconds.
#[track_caller]
fn wait(answer: Answer, code: &str) -> u64 {
    let answer = answer.fails(429, code);
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn guessing_client_waits_and_the_owner_elsewhere_does_not() {
    on_each_store([PROXY, THREE], async |service| {
        let guessed = Cell::new(Instant::now());
        let run = async || guess_and_wait(service, &guessed).await;
        retried(run, |_| guessed.get().elapsed() >= FIRST_WAIT).await;
    })
    .await;
}

/// Sets `guessed` to the time of the guess after which the thief has to wait.
async fn guess_and_wait(service: &Service, guessed: &Cell<Instant>) {
    let (thief, owner) = (at(service, &new_address()), at(service, &new_address()));
    let person = service.newcomer().await;
    for _ in 0..3 {
        guessed.set(Instant::now());
        log_in(&thief, &person.name, "guess").await.fails(401, "invalid_credentials");
    }
    for password in ["guess", GOOD] {
        let seconds = wait(log_in(&thief, &person.name, password).await, "too_many_failures");
        assert!((1..=2).contains(&seconds), "{seconds}");
    }
    log_in(&owner, &person.name, GOOD).await.is(200);
    log_in(&thief, MEMBER.0, MEMBER.1).await.is(200);

    sleep(FIRST_WAIT).await;
    guessed.set(Instant::now());
    log_in(&thief, &person.name, "guess").await.fails(401, "invalid_credentials");
    let seconds = wait(log_in(&thief, &person.name, GOOD).await, "too_many_failures");
    assert!((2..=3).contains(&seconds), "the wait grows: {seconds}");
    sleep(Duration::from_secs(2)).await;
    guessed.set(Instant::now());
    log_in(&thief, &person.name, GOOD).await.is(200);
    log_in(&thief, &person.name, "guess").await.fails(401, "invalid_credentials");
}

/// An address in the network `number` of the site to which `address` belongs.
fn network_of(address: &str, number: usize) -> String {
    let site: Vec<_> = address.split(':').take(3).collect();
    format!("{}:{number:x}::1", site.join(":"))
}

#[tokio::test]
async fn networks_of_one_site_guess_ten_times_as_often_and_no_more() {
    on_each_store([PROXY, ("ACCOUNT_FAILURE_LIMIT", "2")], async |service| {
        in_time(FIRST_WAIT, async || {
            let (address, person) = (new_address(), service.newcomer().await);
            for number in 0..20 {
                let thief = at(service, &network_of(&address, number));
                log_in(&thief, &person.name, "guess").await.fails(401, "invalid_credentials");
            }
            for password in ["guess", GOOD] {
                let seconds = wait(
                    log_in(&at(service, &network_of(&address, 20)), &person.name, password).await,
                    "too_many_failures",
                );
                assert!((1..=2).contains(&seconds), "{seconds}");
            }
            log_in(&at(service, &network_of(&address, 21)), MEMBER.0, MEMBER.1).await.is(200);
            log_in(&at(service, &new_address()), &person.name, GOOD).await.is(200);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn networks_of_one_site_call_ten_times_as_often_and_no_more() {
    on_each_store([PROXY, ("IP_RATE_LIMIT", "1")], async |service| {
        in_time(COUNTED, async || {
            let address = new_address();
            for number in 0..10 {
                let caller = at(service, &network_of(&address, number));
                caller.post("/login", &json!({})).await.is(422);
                wait(caller.post("/login", &json!({})).await, "too_many_requests");
            }
            wait(at(service, &network_of(&address, 10)).post("/login", &json!({})).await, "too_many_requests");
            at(service, &new_address()).post("/login", &json!({})).await.is(422);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn translated_ipv4_address_counts_as_itself() {
    let service = Service::start([PROXY, ("IP_RATE_LIMIT", "3")]).await;
    for address in ["192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1"] {
        at(&service, address).post("/login", &json!({})).await.is(422);
    }
    wait(at(&service, "64:ff9b::c000:201").post("/login", &json!({})).await, "too_many_requests");
    at(&service, "64:ff9b::192.0.2.2").post("/login", &json!({})).await.is(422);
}

/// Ten logins a second from all the networks of one /56, while other clients log in.
#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn flood_of_one_site_delays_others_by_two_seconds_at_most() {
    let mut two = CpuSet::new();
    let allowed = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).take(2).for_each(|cpu| two.set(cpu));
    sched_setaffinity(None, &two).unwrap();
    let mut service = Service::start([PROXY, ("BCRYPT_COST", "12")]).await;
    service.patience = 0;
    let address = new_address();
    let calls = (0..200_usize).map(|number| {
        let caller = at(&service, &network_of(&address, number));
        async move {
            sleep(Duration::from_millis(100) * u32::try_from(number).unwrap()).await;
            log_in(&caller, "nobody.at.all", "guess").await
        }
    });
    let others = async {
        sleep(Duration::from_secs(10)).await;
        let mut slowest = Duration::ZERO;
        for _ in 0..8 {
            let start = Instant::now();
            log_in(&at(&service, &new_address()), MEMBER.0, MEMBER.1).await.is(200);
            slowest = slowest.max(start.elapsed());
        }
        slowest
    };
    let (flood, slowest) = tokio::join!(join_all(calls), others);
    let refused = flood.iter().filter(|answer| answer.status == 503).count();
    println!("slowest {slowest:?}; of the flood, {refused} of {} were refused", flood.len());
    assert!(slowest <= Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test]
async fn concurrent_correct_logins_are_all_accepted() {
    on_each_store([PROXY, THREE], async |service| {
        let (owner, person) = (at(service, &new_address()), service.newcomer().await);
        for answer in join_all((0..20).map(|_| log_in(&owner, &person.name, GOOD))).await {
            answer.is(200);
        }
    })
    .await;
}

#[tokio::test]
async fn wait_does_not_reveal_if_the_account_exists() {
    let service = Service::start([PROXY, THREE]).await;
    let person = service.newcomer().await;
    for login in [person.name.as_str(), "nobody.at.all", "nobody@example.org", "no name", ""] {
        in_time(FIRST_WAIT, async || {
            let stranger = at(&service, &new_address());
            for _ in 0..3 {
                log_in(&stranger, login, "guess").await.fails(401, "invalid_credentials");
            }
            wait(log_in(&stranger, &login.to_uppercase(), "guess").await, "too_many_failures");
        })
        .await;
    }
}

#[tokio::test]
async fn spellings_of_a_login_count_as_one() {
    on_each_store([PROXY, THREE], async |service| {
        let name = new_name();
        for spellings in [
            [name.clone(), format!(" {}", name.to_uppercase()), format!("{name}\u{2003}\n"), name.clone()],
            ["@müller.example", "@xn--mller-kva.example", "@mu\u{308}ller.example", "@MÜLLER.example"]
                .map(|domain| format!("{name}{domain}")),
        ] {
            in_time(FIRST_WAIT, async || {
                let thief = at(service, &new_address());
                for login in &spellings[..3] {
                    log_in(&thief, login, "guess").await.fails(401, "invalid_credentials");
                }
                wait(log_in(&thief, &spellings[3], "guess").await, "too_many_failures");
            })
            .await;
        }
    })
    .await;
}

/// Lower case turns the Kelvin sign into a k, and soft hyphens in a domain mean nothing.
#[tokio::test]
async fn spelling_that_is_no_login_finds_no_account() {
    let service = Service::start([PROXY, THREE]).await;
    let email = format!("k{}@example.org", new_name());
    let body = json!({"username": new_name(), "email": email, "password": GOOD});
    service.nobody().post("/register", &body).await.is(201);
    let stranger = at(&service, &new_address());
    for domain in ["@example.org", "@ex\u{ad}ample.org"] {
        let spelling = email.replacen('k', "\u{212a}", 1).replace("@example.org", domain);
        log_in(&stranger, &spelling, GOOD).await.fails(401, "invalid_credentials");
    }
    log_in(&stranger, &email, GOOD).await.is(200);
}

#[tokio::test]
async fn guesses_of_the_current_password_are_limited_too() {
    let service = Service::start([THREE]).await;
    in_time(FIRST_WAIT, async || {
        let person = service.newcomer().await;
        let thief = service.bearer(&person.pair.access);
        let change = json!({"currentPassword": "guess", "newPassword": "another vK7#qz!Lw2"});
        thief.put("/me/password", &change).await.fails(401, "invalid_credentials");
        thief.delete_with("/me", &json!({"currentPassword": "guess"})).await.fails(401, "invalid_credentials");
        service.try_log_in((&person.name, "guess")).await.fails(401, "invalid_credentials");
        wait(thief.put("/me/password", &change).await, "too_many_failures");
        wait(thief.delete_with("/me", &json!({"currentPassword": GOOD})).await, "too_many_failures");
        wait(service.try_log_in((&person.name, GOOD)).await, "too_many_failures");
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn instances_share_the_failure_limit() {
    let redis = server("TEST_REDIS_URL");
    for redis in [None, Some(("REDIS_URL", redis.as_str()))] {
        let settings = || [PROXY, THREE].into_iter().chain(redis);
        let database = Arc::new(Database::postgres().await);
        let one = Service::start_on(Arc::clone(&database), settings()).await;
        let two = Service::start_on(database, settings()).await;
        in_time(FIRST_WAIT, async || {
            let address = new_address();
            for service in [&one, &two, &one] {
                log_in(&at(service, &address), MEMBER.0, "guess").await.fails(401, "invalid_credentials");
            }
            for service in [&one, &two] {
                wait(log_in(&at(service, &address), MEMBER.0, MEMBER.1).await, "too_many_failures");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn concurrent_guesses_are_limited_like_consecutive_ones() {
    on_each_store([PROXY, THREE], async |service| {
        let thief = at(service, &new_address());
        let person = service.newcomer().await;
        let began = Instant::now();
        let guesses = (0..30).map(|number| {
            let password = if number == 20 { GOOD } else { "guess" };
            log_in(&thief, &person.name, password)
        });
        let answers = join_all(guesses).await;
        let told = answers.iter().filter(|answer| answer.status == 401).count();
        // The right password may come before the limit, and then resets the failures.
        let right = answers.iter().filter(|answer| answer.status == 200).count();
        // One more guess is verified after each wait: of one second, of two, of four.
        let waits = (began.elapsed().as_secs() + 1).ilog2() as usize;
        assert!(told <= 3 * (right + 1) + waits, "{told} guesses were verified");
        assert!(answers.iter().any(|answer| answer.status == 429));
        assert!(answers.iter().all(|answer| [200, 401, 429].contains(&answer.status.as_u16())));
    })
    .await;
}

#[tokio::test]
async fn calls_per_minute_of_an_address_are_limited() {
    on_each_store([PROXY, ("IP_RATE_LIMIT", "4")], async |service| {
        in_time(COUNTED, async || {
            let address = new_address();
            let caller = at(service, &address);
            // These calls are refused, but they are counted before the body is read.
            for (path, status) in [("/register", 422), ("/login", 422), ("/token", 401), ("/refresh", 401)] {
                caller.post(path, &json!({})).await.is(status);
            }
            for path in ["/register", "/login", "/token", "/refresh"] {
                let seconds = wait(caller.post(path, &json!({})).await, "too_many_requests");
                assert!((1..=16).contains(&seconds), "one call in 15 seconds: {seconds}");
            }
            caller.post("/logout", &json!({})).await.is(401);
            caller.get("/livez").await.is(200);
            let neighbour = format!("{}:ffff::9", address.trim_end_matches("::1"));
            wait(at(service, &neighbour).post("/login", &json!({})).await, "too_many_requests");
            at(service, &new_address()).post("/login", &json!({})).await.is(422);
        })
        .await;
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn calls_about_tickets_are_counted_for_their_address() {
    let service = crate::mail::start(&[PROXY, ("IP_RATE_LIMIT", "3")]).await;
    let caller = at(&service, &new_address());
    let calls = ["/password/forgot", "/password/reset", "/email/verify"];
    for path in calls {
        caller.post(path, &json!({})).await.is(422);
    }
    for path in calls {
        wait(caller.post(path, &json!({})).await, "too_many_requests");
    }
    at(&service, &new_address()).post("/password/forgot", &json!({})).await.refuses(&["email"]);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn instances_with_one_redis_count_calls_together() {
    let redis = server("TEST_REDIS_URL");
    let settings = [PROXY, ("IP_RATE_LIMIT", "4"), ("REDIS_URL", redis.as_str())];
    let (one, two) = (Service::start(settings).await, Service::start(settings).await);
    in_time(COUNTED, async || {
        let address = new_address();
        for service in [&one, &two, &one, &two] {
            at(service, &address).post("/login", &json!({})).await.is(422);
        }
        for service in [&one, &two] {
            wait(at(service, &address).post("/login", &json!({})).await, "too_many_requests");
        }
    })
    .await;
}

#[tokio::test]
async fn forwarded_address_of_an_untrusted_client_is_ignored() {
    let service = Service::start([("TRUSTED_PROXIES", "192.0.2.1"), ("IP_RATE_LIMIT", "2")]).await;
    for _ in 0..2 {
        at(&service, &new_address()).post("/login", &json!({})).await.is(422);
    }
    wait(at(&service, &new_address()).post("/login", &json!({})).await, "too_many_requests");
}

#[tokio::test]
async fn rate_limit_headers_are_readable_by_allowed_pages() {
    let origin = "https://app.example";
    let service = Service::start([("ALLOWED_ORIGINS", origin), ("IP_RATE_LIMIT", "1")]).await;
    let page = service.nobody().with("Origin", origin);
    page.post("/login", &json!({})).await.is(422);
    let answer = page.post("/login", &json!({})).await.fails(429, "too_many_requests");
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    assert!(answer.header("access-control-expose-headers").to_lowercase().contains("retry-after"));
}

#[tokio::test]
async fn a_device_is_shown_with_the_address_that_the_proxy_tells() {
    let service = Service::start([PROXY]).await;
    let pair = log_in(&at(&service, "198.51.100.7"), MEMBER.0, MEMBER.1).await.is(200).pair();
    assert_eq!(service.devices(&pair.access).await[0]["address"], "198.51.100.7");
}

#[tokio::test]
async fn calls_about_devices_are_counted_for_their_address() {
    let service = Service::start([PROXY, ("IP_RATE_LIMIT", "4")]).await;
    let name = new_name();
    let newcomer = json!({"username": name, "password": GOOD});
    at(&service, &new_address()).post("/register", &newcomer).await.is(201);
    for (method, path) in [
        (reqwest::Method::GET, "/me/sessions"),
        (reqwest::Method::DELETE, "/me/sessions/0b6f2c1e-8a53-4d0f-9f6e-2a7c5b1d4e90"),
        (reqwest::Method::DELETE, "/me/sessions"),
    ] {
        let access = log_in(&at(&service, &new_address()), &name, GOOD).await.is(200).pair().access;
        let caller = at(&service, &new_address()).with("Authorization", format!("Bearer {access}"));
        let mut answers = vec![];
        for _ in 0..6 {
            answers.push(caller.call(method.clone(), path, None).await.status.as_u16());
        }
        assert!(answers[..4].iter().all(|status| *status != 429), "{method} {path}: {answers:?}");
        assert_eq!(answers[4..], [429, 429], "{method} {path}");
    }
}
