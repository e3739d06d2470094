use std::rc::Rc;
use std::slice;

use serde_json::{Value, json};

use super::journal::credentials;
use super::mortal::{Mortal, secrets};
use super::proxy::{Proxy, Trap};
use super::visitors::{Visitor, generation, under_load};
use crate::stack::{PASSWORD, Stack, Tokens};
use crate::targets::{Database, is_outside, redis_url};
use crate::tokens::claims;

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn kill_between_commit_and_response_ends_no_session() {
    die(20).await;
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn hundreds_of_kills_between_commit_and_response_end_no_session() {
    die(300).await;
}

/// auth-service, which reaches Redis through a proxy.
struct House {
    service: Mortal,
    proxy: Proxy,
}

async fn die(times: usize) {
    if is_outside("kills of auth-service") {
        return;
    }
    let database = Database::new().await;
    let proxy = Proxy::to(&redis_url());
    let [access, refresh] = &secrets();
    let stores = [("AUTH_DATABASE_URL", &*database.url), ("REDIS_URL", &proxy.url)];
    let secrets = [(access.0, &*access.1), (refresh.0, &refresh.1)];
    let house = House { service: Mortal::auth_service(&[stores, secrets].concat()).await, proxy };
    under_load(slice::from_ref(&house.service), async {
        let mut victim = Visitor::new(&*house.service.stack().await).await;
        for round in 0..times {
            match round % 4 {
                0 | 2 => house.dies_in_a_refresh(&victim.tokens).await,
                1 => house.dies_in_a_logout(&victim.tokens).await,
                _ => house.dies_in_a_login(&victim).await,
            }
            let stack = house.service.stack().await;
            victim.tokens = stack.insist("/login", &credentials(&victim.name, PASSWORD)).await.tokens();
        }
    })
    .await;
    house.service.kill().await;
    database.remove().await;
}

impl House {
    async fn dies_in_a_refresh(&self, first: &Tokens) {
        let stack = self.service.stack().await;
        let used = stack.insist("/token", &json!({"token": first.refresh})).await.tokens();
        let body = json!({"token": used.refresh});
        let stack = self.dies_in("rotate", used, "/token", &body).await;

        let next = stack.insist("/token", &body).await.tokens();
        assert_eq!(generation(&next.refresh), generation(&first.refresh) + 2, "the refresh was committed once");
        assert_eq!(stack.insist("/token", &body).await.tokens().refresh, next.refresh, "a retry gets the same token");
        stack.auth().bearer(&next.access).get("/me").await.is(200);
        let last = stack.insist("/token", &json!({"token": next.refresh})).await.tokens();
        assert_eq!(generation(&last.refresh), generation(&next.refresh) + 1);
        stack.insist("/token", &body).await.refused(403, "invalid_refresh_token");
        stack.insist("/token", &json!({"token": last.refresh})).await.refused(403, "invalid_refresh_token");
    }

    async fn dies_in_a_logout(&self, first: &Tokens) {
        let stack = self.service.stack().await;
        let last = stack.insist("/token", &json!({"token": first.refresh})).await.tokens();
        let body = json!({"token": last.refresh});
        let stack = self.dies_in("end", last, "/logout", &body).await;

        stack.insist("/token", &body).await.refused(403, "invalid_refresh_token");
        stack.insist("/logout", &body).await.is(200);
        for token in [&first.refresh, body["token"].as_str().unwrap()] {
            stack.insist("/token", &json!({"token": token})).await.refused(403, "invalid_refresh_token");
        }
    }

    /// A killed login leaves a session that the client does not know. It is listed, and ends with the others.
    async fn dies_in_a_login(&self, victim: &Visitor) {
        let everywhere = self.service.stack().await;
        everywhere.auth().bearer(&victim.tokens.access).delete("/me/sessions").await.is(204);
        let body = credentials(&victim.name, PASSWORD);
        let stack = self.dies_in("open", victim.tokens.clone(), "/login", &body).await;

        let tokens = stack.insist("/login", &body).await.tokens();
        let owner = stack.auth().bearer(&tokens.access);
        let devices = owner.get("/me/sessions").await.is(200).json();
        let current: Vec<bool> =
            devices.as_array().unwrap().iter().map(|device| device["current"].as_bool().unwrap()).collect();
        assert_eq!(current, [true, false], "the new session and that of the killed login: {devices:#}");
        owner.delete("/me/sessions").await.is(204);
        // With a token that is not revoked, because auth-service may read the revocation list at any moment.
        let later = stack.insist("/login", &body).await.tokens();
        let left = stack.auth().bearer(&later.access).get("/me/sessions").await.is(200).json();
        assert_eq!(left.as_array().unwrap().len(), 1, "only the new session is left: {left:#}");
        stack.insist("/token", &json!({"token": tokens.refresh})).await.refused(403, "invalid_refresh_token");
    }

    /// Sends a request that takes `step` on a session of the owner of `tokens`, then kills and restarts the service.
    async fn dies_in(&self, step: &'static str, tokens: Tokens, path: &str, body: &Value) -> Rc<Stack> {
        let user = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
        self.proxy.arm(Trap { step, user, victim: self.service.pid() });
        let unanswered = self.service.stack().await.auth().try_post(path, body.clone()).await;
        assert!(self.proxy.sprang(), "{unanswered:#?}");
        assert!(unanswered.is_err(), "{unanswered:#?}");
        self.service.kill().await;
        self.service.revive().await;
        self.service.stack().await
    }
}
