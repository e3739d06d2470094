use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared_claims::{AccessClaims, Revocation, Revocations, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::library::{Library, a_book, claims, on_each, token};

/// A request whose last byte is not sent yet; the server has accepted its token.
struct Slow(TcpStream);

impl Slow {
    async fn send(library: &Library, method: &str, path: &str, claims: &AccessClaims) -> Self {
        let mut stream = TcpStream::connect(library.url.strip_prefix("http://").unwrap()).await.unwrap();
        let body = a_book().to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            token(claims),
            body.len() + 1
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(body.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// Sends the last byte. Returns the status of the response and the problem's `code`.
    async fn complete(mut self) -> (u16, String) {
        self.0.write_all(b" ").await.unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_default();
        (answer[9..12].parse().unwrap(), body["code"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn token_revoked_while_the_body_arrives_is_401_and_nothing_is_written() {
    on_each(async |database| {
        let list = Revocations::new(None);
        let library = Library::start_knowing(&database.url, [], Some(list.clone())).await;
        let book = library
            .add(json!({"author": "a", "country": "c", "language": "l", "pages": 1, "title": "t", "year": 1}))
            .await;
        let one = format!("/books/{}", book["id"].as_str().unwrap());
        for (method, path, status) in [("POST", "/books", 201), ("PUT", &one, 200), ("PATCH", &one, 200)] {
            let admin = claims(Role::Admin);
            let slow = Slow::send(&library, method, path, &admin).await;
            let until = admin.exp + 10;
            list.add(&[Revocation::Session { sid: admin.sid, until }], admin.iat);
            assert_eq!(slow.complete().await, (401, "invalid_token".to_owned()), "{method}");
            assert_eq!(library.member().get("/books").await.is(200).json(), json!([book]), "{method}");
            let other = Slow::send(&library, method, path, &claims(Role::Admin)).await;
            assert_eq!(other.complete().await.0, status, "{method}, a token that is not revoked");
            if method == "POST" {
                let books = library.member().get("/books").await.is(200).json();
                let added = books.as_array().unwrap().iter().find(|other| other["id"] != book["id"]).unwrap().clone();
                library.admin().delete(&format!("/books/{}", added["id"].as_str().unwrap())).await.is(204);
            } else {
                library
                    .admin()
                    .put(
                        &one,
                        &json!({"author": "a", "country": "c", "language": "l", "pages": 1, "title": "t", "year": 1}),
                    )
                    .await
                    .is(200);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn body_complete_after_revocation_max_age_is_503_and_nothing_is_written() {
    on_each(async |database| {
        let list = Revocations::new(Some(Duration::from_millis(700)));
        list.confirm(Instant::now());
        let library = Library::start_knowing(&database.url, [], Some(list.clone())).await;
        list.confirm(Instant::now());
        let slow = Slow::send(&library, "POST", "/books", &claims(Role::Admin)).await;
        sleep(Duration::from_millis(800)).await;
        assert_eq!(slow.complete().await, (503, "unavailable".to_owned()));
        list.confirm(Instant::now() + Duration::from_mins(1));
        assert_eq!(library.member().get("/books").await.is(200).json(), json!([]));
    })
    .await;
}

/// With a wrong `AUTH_URL`, the service would accept revoked tokens unnoticed.
#[tokio::test]
async fn service_without_a_first_list_serves_and_is_not_ready() {
    on_each(async |database| {
        let misled = Library::start(&database.url, [("AUTH_URL", "http://127.0.0.1:1")]).await;
        let list = Revocations::new(None);
        let waiting = Library::start_knowing(&database.url, [], Some(list.clone())).await;
        for library in [&misled, &waiting] {
            let answer = library.nobody().get("/readyz").await.problem(503, "not_ready");
            assert_eq!(answer.json()["errors"], json!([{"field": "revocations", "message": "does not answer"}]));
            library.nobody().get("/livez").await.is(200);
            library.member().get("/books").await.is(200);
        }
        list.confirm(Instant::now());
        waiting.nobody().get("/readyz").await.is(200);
    })
    .await;
}

#[tokio::test]
async fn service_whose_list_lacks_an_unreadable_entry_is_ready() {
    on_each(async |database| {
        let (strict, list) = (Revocations::new(Some(Duration::from_mins(1))), Revocations::new(None));
        for (list, status) in [(list, 200), (strict, 503)] {
            list.mark_read();
            let library = Library::start_knowing(&database.url, [], Some(list)).await;
            library.nobody().get("/readyz").await.is(200);
            library.member().get("/books").await.is(status);
        }
    })
    .await;
}

/// A proxy without its backend answers so, too.
#[tokio::test]
async fn service_of_keys_alone_whose_address_is_404_is_not_ready() {
    on_each(async |database| {
        let jwks = format!("{}/nowhere", Library::start(&database.url, []).await.url);
        let settings = [("ACCESS_TOKEN_JWKS_URL", &*jwks), ("ACCESS_TOKEN_SECRET", "")];
        let library = Library::start(&database.url, settings).await;
        let answer = library.nobody().get("/readyz").await.problem(503, "not_ready");
        assert_eq!(answer.json()["errors"], json!([{"field": "keys", "message": "does not answer"}]));
        let library = Library::start(&database.url, [settings[0]]).await;
        library.member().get("/books").await.is(200);
    })
    .await;
}
