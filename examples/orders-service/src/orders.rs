use actix_web::get;
use shared_claims::Member;

/// The orders of whoever is signed in.
#[get("/orders")]
pub async fn list(member: Member) -> String {
    format!("No orders yet, {}.\n", member.username)
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web::Data};
    use shared_claims::TestKit;

    use super::list;

    #[actix_web::test]
    async fn orders_are_for_whoever_is_signed_in() {
        let kit = TestKit::new("orders-service").unwrap();
        let app = init_service(App::new().app_data(Data::new(kit.guard().unwrap())).service(list)).await;
        kit.revoke("s-1");
        let strangers = TestKit::new("orders-service").unwrap();
        let elsewhere = TestKit::new("books-service").unwrap();
        for (token, status, why) in [
            (kit.member(), 200, "a member"),
            (kit.admin(), 200, "an admin is a member too"),
            (kit.in_session("s-2"), 200, "a session"),
            (kit.in_session("s-1"), 401, "a session that has ended"),
            (kit.expired(), 401, "too late"),
            (strangers.member(), 401, "signed with another secret"),
            (elsewhere.member(), 401, "for another service"),
            (String::new(), 401, "nobody"),
        ] {
            let request = TestRequest::get().uri("/orders").insert_header(("Authorization", format!("Bearer {token}")));
            assert_eq!(call_service(&app, request.to_request()).await.status(), status, "{why}");
        }
    }
}
