use std::error::Error;
use std::fmt::Display;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::future::{BoxFuture, FutureExt, TryFutureExt, join_all};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Serialize;
use shared_claims::{ErrorCode, Problem};
use utoipa::ToSchema;

use crate::http::at;

/// The time limit of a check; a check that takes longer counts as failed.
const PATIENCE: Duration = Duration::from_secs(1);

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The dependencies of a service, by name, each with a check. `/readyz` runs all checks.
#[derive(Clone, Default)]
pub struct Readiness(Vec<(&'static str, Check)>);

impl Readiness {
    /// Adds `check` of the dependency `on` under `name`; its error only appears in the log.
    #[must_use]
    pub fn with<D, F, E>(mut self, name: &'static str, on: D, check: impl Fn(D) -> F + Send + Sync + 'static) -> Self
    where
        D: Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let check = move || check(on.clone()).map_err(|error| error.to_string()).boxed();
        self.0.push((name, Arc::new(check)));
        self
    }

    /// The names of the dependencies that do not answer.
    async fn missing(&self) -> Vec<&'static str> {
        let checks = self.0.iter().map(|(name, check)| async move {
            let failure = match tokio::time::timeout(PATIENCE, check()).await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => error,
                Err(_) => "no answer within 1 s".to_owned(),
            };
            log::warn!("not ready: {name}: {failure}");
            Some(*name)
        });
        join_all(checks).await.into_iter().flatten().collect()
    }
}

/// Adds `GET /livez` (the process runs) and `GET /readyz` (all dependencies in [`Readiness`] answer).
pub fn health(readiness: &Readiness) -> impl Fn(&mut web::ServiceConfig) + use<> {
    let readiness = web::Data::new(readiness.clone());
    move |config| {
        config.app_data(readiness.clone()).service(at("/livez").get(livez)).service(at("/readyz").get(readyz));
    }
}

#[derive(Serialize, ToSchema)]
struct Health {
    status: Status,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Ready,
}

/// Say whether the process runs
#[utoipa::path(get, path = "/livez", operation_id = "isAlive", tag = "service",
    responses((status = 200, description = "It does.", body = Health)))]
async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: Status::Ok })
}

/// Say whether all that the service needs answers
#[utoipa::path(get, path = "/readyz", operation_id = "isReady", tag = "service",
    responses((status = 200, description = "It does.", body = Health)), extensions(("x-errors" = json!([ErrorCode::NotReady]))))]
async fn readyz(readiness: web::Data<Readiness>) -> Result<HttpResponse, Problem> {
    let missing = readiness.missing().await;
    if missing.is_empty() {
        return Ok(HttpResponse::Ok().json(Health { status: Status::Ready }));
    }
    let problem = Problem::new(ErrorCode::NotReady);
    Err(missing.into_iter().fold(problem, |problem, name| problem.error(name, "does not answer")))
}

/// Requests `url` (`http://127.0.0.1:3000/readyz`) once, for container health checks. The target is this machine, given
/// by its IP address, so any certificate is accepted.
///
/// # Errors
/// No response within 2 s, or a status other than 2xx; the message says which.
pub async fn healthcheck(url: &str) -> Result<(), String> {
    match status(url).await {
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(format!("{url} answers {status}")),
        Err(error) if error.is_timeout() => Err(format!("{url} does not answer within 2 s")),
        Err(error) => {
            let error = error.without_url();
            let cause = successors(Some(&error as &dyn Error), |&error| error.source()).last().map(ToString::to_string);
            Err(format!("{url}: {}", cause.unwrap_or_default()))
        }
    }
}

/// The status of the response to `GET url`.
async fn status(url: &str) -> reqwest::Result<u16> {
    let client = Client::builder().danger_accept_invalid_certs(true).no_proxy().redirect(Policy::none());
    Ok(client.timeout(2 * PATIENCE).build()?.get(url).send().await?.status().as_u16())
}
