//! Tokens that are revoked while the body of their request arrives.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::redis_server::until;
use crate::service::{ADMIN, GOOD, Service, on_each_store};

/// Sends all but the last byte of a request; returns after the service has accepted the access token.
async fn begin(service: &Service, (method, path): (&str, &str), token: &str, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(service.addr).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len() + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

/// Sends the last byte, and returns the response.
async fn complete(mut stream: TcpStream) -> String {
    stream.write_all(b" ").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn token_revoked_while_the_body_arrives_is_401_and_nothing_is_written() {
    on_each_store([("REVOCATION_POLL", "20ms")], async |service| {
        let person = service.newcomer().await;
        let user = format!("/users/{}", person.id);
        let passwords = json!({"currentPassword": GOOD, "newPassword": "Mz4?tuRnip-9"});
        let new = json!({"username": format!("x{}", &person.name[..20]), "password": GOOD});
        for (call, of_admin, body) in [
            (("POST", "/users"), true, new),
            (("PATCH", user.as_str()), true, json!({"role": "admin"})),
            (("PUT", "/me/password"), false, passwords),
            (("DELETE", "/me"), false, json!({"currentPassword": GOOD})),
        ] {
            println!("{call:?}");
            let name = (person.name.as_str(), GOOD);
            let pair = service.log_in(if of_admin { ADMIN } else { name }).await;
            let request = begin(service, call, &pair.access, &body).await;
            service.log_out(&pair.refresh).await.is(200);
            until("the token is revoked", async || service.bearer(&pair.access).get("/me").await.status == 401).await;
            let before = service.admin().await.get("/users").await.is(200).json();
            let answer = complete(request).await;
            assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("The session has ended"), "{answer}");
            assert_eq!(service.admin().await.get("/users").await.is(200).json(), before);
            service.log_in(name).await;
        }
    })
    .await;
}
