//! A third service: verifies access tokens with the shared secret, and polls the revocation list.
//!
//! It reads `ACCESS_TOKEN_SECRET`, `AUTH_URL` and `ORDERS_ADDR`. auth-service must list `orders-service` in
//! `ACCESS_TOKEN_AUDIENCE`; otherwise each call is 401, "The token is for another audience".

mod orders;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use env_logger::Env;
use shared_claims::{BearerAuth, Poller, Secret, Verifier, VerifierConfig};

#[expect(
    clippy::disallowed_methods,
    reason = "`Settings` is in shared-service, and this example depends on shared-claims alone"
)]
fn setting(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

#[actix_web::main]
async fn main() -> ExitCode {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("orders-service: {error}");
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
    let auth = Data::new(BearerAuth::new(verifier).with_revocations(revocations));
    let app = move || App::new().app_data(auth.clone()).service(orders::list).service(orders::add);
    HttpServer::new(app).bind(setting("ORDERS_ADDR")?)?.run().await?;
    Ok(())
}
