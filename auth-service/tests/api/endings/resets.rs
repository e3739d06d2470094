use serde_json::json;
use tokio::time::sleep;

use super::{Hold, NEW, WAITING, left, refused};
use crate::database::Database;
use crate::mail::{PUBLIC_URL, ticket};
use crate::redis_server::{Redis, until};
use crate::service::{GOOD, Person, Service, TokenPair};

/// Redeems a ticket whose reset is committed while Redis is down; returns its user, and the tokens of a login just
/// before it.
async fn reset(service: &mut Service, redis: &mut Redis) -> (Person, TokenPair) {
    // On a busy machine the reset may give up before it has its turn, or its commit may take too long.
    for _ in 0..10 {
        service.patience = 10;
        let person = service.newcomer().await;
        let path = format!("/users/{}/reset-link", person.id);
        let link = service.admin().await.post(&path, &json!({})).await.is(201).json();
        let ticket = ticket(&json!({"body": link["url"]}), "reset");
        service.patience = 0;
        let hold = Hold::new(&service.database).await;
        let (answer, pair) = tokio::join!(service.reset(&ticket, NEW), async {
            sleep(WAITING).await;
            let pair = service.log_in((&person.name, GOOD)).await;
            redis.stop();
            hold.release().await;
            pair
        });
        redis.start_again().await;
        until("the session store is back", async || service.nobody().get("/readyz").await.status == 200).await;
        if answer.status != 503 {
            answer.is(204);
            return (person, pair);
        }
    }
    panic!("the reset was never committed")
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn reset_is_204_though_the_session_store_goes_away_after_the_commit() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("REVOCATION_POLL", "100ms"), ("PUBLIC_URL", PUBLIC_URL)];
    for database in Database::each().await {
        let mut service = Service::start_on(database, settings).await;
        let (person, pair) = reset(&mut service, &mut redis).await;
        service.patience = 10;
        refused(&service, &pair.access).await;
        service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
        service.refresh(&person.pair.refresh).await.fails(403, "invalid_refresh_token");
        until("nothing is left", async || left(&service.database).await == 0).await;
        service.log_in((&person.name, NEW)).await;
    }
}
