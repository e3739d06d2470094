use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use shared_claims::{Keyring, Poller, PublicKeys, TokenError};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::algorithms::{PAIRS, verifier_of};
use crate::forge::NOW;
use crate::teller::until;

/// A server that publishes keys and records the `If-None-Match` of each request.
struct Publisher {
    url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    answer: (StatusCode, String),
    age: Option<&'static str>,
    asked: Vec<Option<String>>,
}

impl Publisher {
    async fn start(body: String) -> Self {
        let state = Arc::new(Mutex::new(State { answer: (StatusCode::OK, body), age: None, asked: Vec::new() }));
        let told = Arc::clone(&state);
        let answer = move |headers: HeaderMap| async move {
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let mut state = told.lock().unwrap();
            state.asked.push(text("if-none-match"));
            assert_eq!(text("cache-control").as_deref(), Some("no-cache"));
            let (status, body) = state.answer.clone();
            let mut headers = HeaderMap::new();
            let etag = format!("\"{}\"", body.len());
            headers.insert("etag", etag.parse().unwrap());
            if let Some(age) = state.age {
                headers.insert("age", age.parse().unwrap());
            }
            match text("if-none-match") {
                Some(known) if known == etag && status == StatusCode::OK => {
                    (StatusCode::NOT_MODIFIED, headers, String::new())
                }
                _ => (status, headers, body),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
        let app = Router::new().route("/.well-known/jwks.json", get(answer));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    fn poller(&self) -> Poller {
        Poller { poll: Duration::from_millis(20), start_timeout: Duration::from_secs(20), ..Poller::new(&*self.url) }
    }

    fn answer(&self, status: StatusCode, body: impl Into<String>) {
        self.state.lock().unwrap().answer = (status, body.into());
    }

    fn asked(&self) -> Vec<Option<String>> {
        self.state.lock().unwrap().asked.clone()
    }

    async fn is_asked_again(&self, times: usize) {
        let before = self.asked().len();
        until("it is asked", || self.asked().len() >= before + times).await;
    }
}

/// The JWK set of the pairs with these indexes.
fn set(pairs: &[usize]) -> String {
    PublicKeys::own(pairs.iter().map(|&pair| PAIRS[pair].public()).collect()).jwks()
}

fn names(keys: &PublicKeys) -> Vec<String> {
    keys.keys().iter().map(|key| key.key_id().to_owned()).collect()
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn published_keys_come_and_go() {
    let publisher = Publisher::start(set(&[0])).await;
    let keys = publisher.poller().keys().await.unwrap();
    assert_eq!(names(&keys), [PAIRS[0].kid()]);
    publisher.is_asked_again(2).await;
    assert!(publisher.asked().last().unwrap().is_some(), "the ETag is sent");
    assert!(!keys.is_stale());
    publisher.answer(StatusCode::OK, set(&[1, 0]));
    until("the second is there", || names(&keys) == [PAIRS[1].kid(), PAIRS[0].kid()]).await;
    publisher.answer(StatusCode::OK, set(&[1]));
    until("the first is gone", || names(&keys) == [PAIRS[1].kid()]).await;
    publisher.answer(StatusCode::OK, r#"{"keys":[]}"#);
    until("all are gone", || names(&keys).is_empty()).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn answer_that_is_no_set_changes_nothing() {
    let publisher = Publisher::start(set(&[0])).await;
    let keys = publisher.poller().keys().await.unwrap();
    for (status, body, why) in [
        (StatusCode::OK, "<html>".to_owned(), "a page"),
        (StatusCode::OK, format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(64 << 10)), "65 KiB"),
        (StatusCode::INTERNAL_SERVER_ERROR, set(&[1]), "500"),
        (StatusCode::FOUND, set(&[1]), "a redirect"),
        (StatusCode::NOT_FOUND, String::new(), "404, as of a proxy without its backend"),
    ] {
        publisher.answer(status, body);
        publisher.is_asked_again(3).await;
        assert_eq!(names(&keys), [PAIRS[0].kid()], "{why}");
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn missing_address_beside_a_secret_is_an_empty_set() {
    let publisher = Publisher::start(set(&[0])).await;
    publisher.answer(StatusCode::NOT_FOUND, "");
    let keys = Poller { has_secret: true, ..publisher.poller() }.keys().await.unwrap();
    until("it is known", || !keys.is_stale()).await;
    assert!(names(&keys).is_empty());
    let known_at = Instant::now();
    publisher.is_asked_again(3).await;
    assert!(keys.age().unwrap() < known_at.elapsed(), "the next 404 confirms it");
}

/// A proxy without its backend may answer so. Valid tokens must not be 401 meanwhile.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn missing_address_without_a_secret_is_an_outage() {
    let publisher = Publisher::start(set(&[0])).await;
    publisher.answer(StatusCode::NOT_FOUND, "");
    let poller = Poller { start_timeout: Duration::from_millis(100), ..publisher.poller() };
    let keys = poller.keys().await.unwrap();
    let verifier = verifier_of(Keyring::new([], Some(keys.clone())).unwrap());
    let token = PAIRS[0].honest();
    publisher.is_asked_again(2).await;
    assert_eq!((keys.age(), verifier.verify(&token, NOW).unwrap_err()), (None, TokenError::KeysUnknown));
    publisher.answer(StatusCode::OK, set(&[0]));
    until("the token is accepted", || verifier.verify(&token, NOW).is_ok()).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn key_set_from_a_cache_changes_nothing() {
    let publisher = Publisher::start(set(&[0])).await;
    let keys = publisher.poller().keys().await.unwrap();
    publisher.state.lock().unwrap().age = Some("1");
    publisher.answer(StatusCode::OK, set(&[1, 2]));
    publisher.is_asked_again(3).await;
    assert_eq!(names(&keys), [PAIRS[0].kid()]);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn set_survives_an_outage_until_its_greatest_age() {
    let publisher = Publisher::start(set(&[0])).await;
    let poller = Poller { max_age: Some(Duration::from_secs(3)), ..publisher.poller() };
    let (bounded, endless) = (poller.keys().await.unwrap(), publisher.poller().keys().await.unwrap());
    let verifiers = [&bounded, &endless].map(|keys| verifier_of(Keyring::new([], Some(keys.clone())).unwrap()));
    let token = PAIRS[0].honest();
    let verdicts = || verifiers.each_ref().map(|verifier| verifier.verify(&token, NOW).map(|_| ()));
    assert_eq!(verdicts(), [Ok(()), Ok(())]);
    publisher.answer(StatusCode::SERVICE_UNAVAILABLE, "");
    until("it is too old", || verdicts() == [Err(TokenError::KeysUnknown), Ok(())]).await;
    publisher.answer(StatusCode::OK, set(&[0]));
    until("it is followed again", || verdicts() == [Ok(()), Ok(())]).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
async fn unknown_kid_causes_no_request() {
    let publisher = Publisher::start(set(&[0])).await;
    let poller = Poller { poll: Duration::from_mins(1), ..publisher.poller() };
    let verifier = verifier_of(Keyring::new([], Some(poller.keys().await.unwrap())).unwrap());
    let begun = Instant::now();
    for n in 0..10_000 {
        assert_eq!(verifier.verify(&PAIRS[0].named(&format!("kid-{n}")), NOW), Err(TokenError::UnknownKey));
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(publisher.asked().len(), 1, "after {:?}", begun.elapsed());
}
