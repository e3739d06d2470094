//! A third service in axum: verifies access tokens with the shared secret, and polls the revocation list.
//!
//! It reads the same settings as `orders-service` and gives the same answers.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use env_logger::Env;
use serde::Deserialize;
use shared_claims::{BearerAuth, Checked, Member, Poller, Secret, Verifier, VerifierConfig};
use tokio::net::TcpListener;

/// The body of a new order.
#[derive(Deserialize)]
struct Order {
    item: String,
}

async fn list(member: Member) -> String {
    format!("No orders yet, {}.\n", member.username)
}

/// `Checked` verifies the token again when the body is complete, because it may be revoked while the body arrives.
async fn add(member: Member, Checked(Json(order)): Checked<Json<Order>>) -> String {
    format!("One {} for {}.\n", order.item, member.username)
}

fn routes(auth: BearerAuth) -> Router {
    Router::new().route("/orders", get(list).post(add)).with_state(Arc::new(auth))
}

#[expect(
    clippy::disallowed_methods,
    reason = "`Settings` is in shared-service, and this example depends on shared-claims alone"
)]
fn setting(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

#[tokio::main]
async fn main() -> ExitCode {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("orders-axum: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let verifier = Verifier::new(&VerifierConfig {
        issuer: "auth-service",
        audience: "orders-service",
        max_life: Duration::from_mins(15),
        secret: &Secret::parse(&setting("ACCESS_TOKEN_SECRET")?)?,
        previous: None,
    })?;
    let revocations = Poller::new(setting("AUTH_URL")?).start().await?;
    let listener = TcpListener::bind(setting("ORDERS_ADDR")?).await?;
    axum::serve(listener, routes(BearerAuth::new(verifier).with_revocations(revocations))).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use shared_claims::TestKit;
    use tower::ServiceExt;

    use super::routes;

    #[tokio::test]
    async fn orders_need_a_token_of_a_living_session() {
        let kit = TestKit::new("orders-service").unwrap();
        let app = routes(kit.bearer_auth().unwrap());
        kit.revoke("s-1");
        for (method, token, status) in [
            (Method::GET, kit.member(), 200),
            (Method::POST, kit.in_session("s-2"), 200),
            (Method::POST, kit.in_session("s-1"), 401),
            (Method::GET, kit.expired(), 401),
            (Method::GET, String::new(), 401),
        ] {
            let request = Request::builder().method(method.clone()).uri("/orders");
            let request =
                request.header("Authorization", format!("Bearer {token}")).header("Content-Type", "application/json");
            let answer = app.clone().oneshot(request.body(Body::from(r#"{"item":"pen"}"#)).unwrap()).await.unwrap();
            assert_eq!(answer.status(), status, "{method}");
        }
    }
}
