use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_claims::{BearerAuth, LEEWAY, Revocations};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::doors;
use crate::forge::{LIFE, header, token};
use crate::server::{Service, claims_of, now, verifier};
use crate::wire::{session, subject};

const BODY: &str = r#""an order""#;

/// A request whose last byte is not sent yet. The server has accepted its token and asked for the body.
struct Slow(TcpStream);

impl Slow {
    async fn post(service: &Service, path: &str, token: &str) -> Self {
        let mut stream = TcpStream::connect(service.url().strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            BODY.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        // Single bytes with pauses, so that the server waits for the body more than once.
        for byte in &BODY.as_bytes()[..BODY.len() - 1] {
            stream.write_all(&[*byte]).await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        Self(stream)
    }

    /// Sends the last byte. Returns the status and the text of the response.
    async fn complete(mut self) -> (u16, String) {
        self.0.write_all(&BODY.as_bytes()[BODY.len() - 1..]).await.unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        (answer[9..12].parse().unwrap(), answer)
    }
}

fn following(max_age: Option<Duration>) -> (Revocations, Vec<Service>) {
    let list = Revocations::new(max_age);
    let auth = Arc::new(BearerAuth::new(verifier()).with_revocations(list.clone()));
    list.confirm(Instant::now());
    (list, Service::protected_by(&auth))
}

fn token_in(sid: &str, sub: &str, iat: u64, exp: u64) -> String {
    let claims = claims_of("admin").with("sid", format!("{sid:?}")).with("sub", format!("{sub:?}"));
    token(&header(), &claims.with("iat", iat).with("exp", exp))
}

#[actix_web::test]
async fn token_revoked_while_the_body_arrives_is_401_and_nothing_is_written() {
    let (list, services) = following(None);
    for (number, service) in services.iter().enumerate() {
        for path in ["/member", "/admin", "/text", "/behind"] {
            for (place, why) in ["session", "user"].iter().enumerate() {
                let (sid, sub) = (format!("s{path}-{number}-{place}"), format!("u{path}-{number}-{place}"));
                let slow = Slow::post(service, path, &token_in(&sid, &sub, now() - 10, now() + LIFE - 10)).await;
                let entry = if place == 0 { session(&sid, now() + 900) } else { subject(&sub, now(), now() + 900) };
                list.add(&[entry], now());
                let (status, answer) = slow.complete().await;
                assert_eq!(status, 401, "{path}, its {why}: {answer}");
                assert!(answer.contains("invalid_token") && answer.contains("The session has ended"), "{answer}");
                assert!(!doors::wrote(&sid), "{path}, its {why}: the handler ran");
            }
        }
    }
}

#[actix_web::test]
async fn token_that_still_counts_at_the_end_of_the_body_is_let_in() {
    let (_, services) = following(Some(Duration::from_mins(1)));
    for (number, service) in services.iter().enumerate() {
        for path in ["/member", "/admin", "/text", "/behind", "/stream"] {
            let sid = format!("good{path}-{number}");
            let slow = Slow::post(service, path, &token_in(&sid, "u-1", now(), now() + LIFE)).await;
            let (status, answer) = slow.complete().await;
            assert_eq!(status, 200, "{path}: {answer}");
            assert!(doors::wrote(&sid), "{path}");
        }
    }
}

#[actix_web::test]
async fn body_complete_after_the_greatest_age_of_the_list_is_503() {
    for number in 0..following(None).1.len() {
        let (list, services) = following(Some(Duration::from_secs(3)));
        let sid = format!("stale-{number}");
        let slow = Slow::post(&services[number], "/member", &token_in(&sid, "u-1", now(), now() + LIFE)).await;
        while !list.is_stale() {
            sleep(Duration::from_millis(20)).await;
        }
        let (status, answer) = slow.complete().await;
        assert_eq!(status, 503, "{answer}");
        assert!(answer.contains("unavailable") && !doors::wrote(&sid), "{answer}");
    }
}

#[actix_web::test]
async fn token_that_expires_while_the_body_arrives_is_401() {
    let (_, services) = following(None);
    for (number, service) in services.iter().enumerate() {
        let sid = format!("expired-{number}");
        let exp = now() + 2 - LEEWAY;
        let slow = Slow::post(service, "/member", &token_in(&sid, "u-1", exp - 60, exp)).await;
        sleep(Duration::from_millis(2100)).await;
        let (status, answer) = slow.complete().await;
        assert_eq!(status, 401, "{answer}");
        assert!(answer.contains("The token has expired") && !doors::wrote(&sid), "{answer}");
    }
}

/// The token is revoked after the handler has started; the handler reads the body itself.
#[actix_web::test]
async fn body_read_by_the_handler_ends_in_an_error_where_the_token_is_revoked() {
    let (list, services) = following(None);
    let slow = Slow::post(&services[0], "/stream", &token_in("s-stream", "u-1", now(), now() + LIFE)).await;
    list.add(&[session("s-stream", now() + 900)], now());
    let (status, answer) = slow.complete().await;
    assert_eq!(status, 400, "{answer}");
    assert!(!doors::wrote("s-stream"), "{answer}");
}

/// Extractors that read nothing or only a part of the body do not delay the response.
#[actix_web::test]
async fn unread_body_does_not_delay_the_response() {
    let (_, services) = following(None);
    for path in ["/unread", "/part"] {
        let slow = Slow::post(&services[0], path, &token_in(path, "u-1", now(), now() + LIFE)).await;
        let (status, answer) = slow.complete().await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
}

#[cfg(feature = "axum")]
#[actix_web::test]
async fn checked_body_without_a_member_is_500() {
    let (_, services) = following(None);
    let answer = reqwest::Client::new().post(format!("{}/open", services[1].url())).body(BODY).send().await.unwrap();
    assert_eq!(answer.status(), 500);
}
