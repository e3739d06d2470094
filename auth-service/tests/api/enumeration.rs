//! A refused login must not reveal whether the account exists.

use std::time::Instant;

use serde_json::json;

use crate::answer::Answer;
use crate::service::{GOOD, Service, new_name};

const ROUNDS: usize = 400;
/// The relative difference below which medians count as equal.
const SAME: f64 = 0.05;
/// The number of measurements, of which one must have little enough noise.
const ATTEMPTS: usize = 4;

const WRONG: &str = "wrong";
const KINDS: usize = 7;

/// Why a login is refused, the name, and the password.
type Login = (&'static str, String, &'static str);

/// Refused logins: accounts whose hash is current or outdated, enabled or disabled, and no account.
async fn logins(service: &Service) -> [Login; KINDS] {
    let [there, outdated, disabled, both] = [
        account(service, false, false).await,
        account(service, true, false).await,
        account(service, false, true).await,
        account(service, true, true).await,
    ];
    [
        ("a wrong password", there, WRONG),
        ("a wrong password, an outdated hash", outdated, WRONG),
        ("a disabled account, a wrong password", disabled.clone(), WRONG),
        ("a disabled account, the right password", disabled, GOOD),
        ("a disabled account, an outdated hash, a wrong password", both.clone(), WRONG),
        ("a disabled account, an outdated hash, the right password", both, GOOD),
        ("nobody", new_name(), GOOD),
    ]
}

/// The name of an account whose password is [`GOOD`]. An outdated hash is one of plain bcrypt, as imports have it.
async fn account(service: &Service, outdated: bool, disabled: bool) -> String {
    let person = service.newcomer().await;
    if outdated {
        let (hash, id) = (bcrypt::hash(GOOD, 5).unwrap(), &person.id);
        service.database.execute(&format!("UPDATE users SET password_hash = '{hash}' WHERE id = '{id}'")).await;
    }
    if disabled {
        let path = format!("/users/{}", person.id);
        service.admin().await.patch(&path, &json!({"disabled": true})).await.is(200);
    }
    person.name
}

/// The parts that must be equal in all responses: everything but the date and the request id.
fn lasting(answer: &Answer) -> (u16, Vec<(String, String)>, serde_json::Value) {
    let mut headers: Vec<_> =
        answer.headers.iter().map(|(name, _)| (name.to_string(), answer.header(name.as_str()))).collect();
    headers.retain(|(name, _)| name != "date" && name != "x-request-id");
    headers.sort();
    let mut body = answer.json();
    body["requestId"] = json!(null);
    (answer.status.as_u16(), headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect(), body)
}

#[tokio::test]
async fn refused_logins_have_identical_responses() {
    let service = Service::start([]).await;
    let mut answers = Vec::new();
    for (why, name, password) in logins(&service).await {
        println!("{why}");
        answers.push(lasting(&service.try_log_in((&name, password)).await.fails(401, "invalid_credentials")));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

/// This percentile of the times.
fn at<'a>(times: impl Iterator<Item = &'a f64>, percent: usize) -> f64 {
    let mut times: Vec<f64> = times.copied().collect();
    times.sort_by(f64::total_cmp);
    times[times.len() * percent / 100]
}

/// The difference between the largest and the smallest time, relative to the smallest.
fn spread(times: &[f64]) -> f64 {
    let (least, most) =
        times.iter().fold((f64::MAX, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
    most / least - 1.0
}

#[tokio::test]
#[ignore = "long: ./test --long runs it, and nothing beside it"]
async fn refused_logins_take_the_same_time() {
    let service = Service::start([("BCRYPT_COST", "8"), ("ACCOUNT_FAILURE_LIMIT", "0")]).await;
    let logins = logins(&service).await;
    for _ in 0..ATTEMPTS {
        let times = measure(&service, &logins).await;
        // The noise. If it were larger, the comparison below could not detect a difference of a tenth.
        let noise = times.iter().map(|times| spread(&[0, 1].map(|half| at(times.iter().skip(half).step_by(2), 50))));
        let noise = noise.fold(0.0, f64::max);
        let medians = times.map(|times| at(times.iter(), 50));
        println!("noise {noise:.3}, medians {medians:?} ms, spread {:.3}", spread(&medians));
        if noise < SAME {
            return assert!(spread(&medians) < SAME, "{medians:?}");
        }
    }
    panic!("the machine is too noisy to compare times");
}

/// The time to refuse each kind of login, in milliseconds.
async fn measure(service: &Service, logins: &[Login; KINDS]) -> [Vec<f64>; KINDS] {
    let mut times: [Vec<f64>; KINDS] = Default::default();
    for round in 0..ROUNDS {
        // Each kind is first, second and so on equally often, so that other load of the machine affects all alike.
        for place in 0..KINDS {
            let kind = (round + place) % KINDS;
            let (_, name, password) = &logins[kind];
            let started = Instant::now();
            service.try_log_in((name, password)).await.fails(401, "invalid_credentials");
            times[kind].push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    times
}
