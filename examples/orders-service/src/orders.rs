use actix_web::web::Json;
use actix_web::{get, post};
use serde::Deserialize;
use shared_claims::Member;

/// The body of a new order.
#[derive(Deserialize)]
pub struct Order {
    item: String,
}

/// `GET /orders`: the member's orders.
#[get("/orders")]
pub async fn list(member: Member) -> String {
    format!("No orders yet, {}.\n", member.username)
}

/// `POST /orders`. `member` precedes the body: if the token is revoked while the body arrives, the response is 401.
#[post("/orders")]
pub async fn add(member: Member, order: Json<Order>) -> String {
    format!("One {} for {}.\n", order.item, member.username)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::rt::net::TcpStream;
    use actix_web::rt::time::sleep;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpServer, rt, web::Data};
    use shared_claims::TestKit;

    use super::{add, list};

    #[actix_web::test]
    async fn orders_need_a_member() {
        let kit = TestKit::new("orders-service").unwrap();
        let app = init_service(App::new().app_data(Data::new(kit.bearer_auth().unwrap())).service(list)).await;
        kit.revoke("s-1");
        let strangers = TestKit::new("orders-service").unwrap();
        let elsewhere = TestKit::new("books-service").unwrap();
        for (token, status, why) in [
            (kit.member(), 200, "a member"),
            (kit.admin(), 200, "an admin is a member too"),
            (kit.in_session("s-2"), 200, "a session"),
            (kit.in_session("s-1"), 401, "a session that has ended"),
            (kit.expired(), 401, "an expired token"),
            (strangers.member(), 401, "signed with another secret"),
            (elsewhere.member(), 401, "for another service"),
            (String::new(), 401, "no token"),
        ] {
            let request = TestRequest::get().uri("/orders").insert_header(("Authorization", format!("Bearer {token}")));
            assert_eq!(call_service(&app, request.to_request()).await.status(), status, "{why}");
        }
    }

    /// Sends `text` when the connection is writable.
    async fn send(stream: &TcpStream, text: &str) {
        stream.writable().await.unwrap();
        assert_eq!(stream.try_write(text.as_bytes()).unwrap(), text.len());
    }

    async fn status(stream: &TcpStream) -> String {
        let mut answer = [0; 12];
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut answer).unwrap(), answer.len());
        String::from_utf8_lossy(&answer[9..]).into_owned()
    }

    #[actix_web::test]
    async fn order_whose_token_is_revoked_while_it_arrives_is_401() {
        let kit = TestKit::new("orders-service").unwrap();
        let auth = Data::new(kit.bearer_auth().unwrap());
        let server = HttpServer::new(move || App::new().app_data(auth.clone()).service(add)).workers(1);
        let server = server.disable_signals().bind("127.0.0.1:0").unwrap();
        let addr = server.addrs()[0];
        rt::spawn(server.run());
        for (sid, expected) in [("s-1", "401"), ("s-2", "200")] {
            let stream = TcpStream::connect(addr).await.unwrap();
            let token = kit.in_session(sid);
            let head =
                "POST /orders HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 14\r\n";
            send(&stream, &format!("{head}Authorization: Bearer {token}\r\n\r\n{{\"item\"")).await;
            sleep(Duration::from_millis(200)).await;
            kit.revoke("s-1");
            send(&stream, r#":"pen"}"#).await;
            assert_eq!(status(&stream).await, expected, "{sid}");
        }
    }
}
