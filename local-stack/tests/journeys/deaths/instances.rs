use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::below;
use super::mortal::{Mortal, secrets, someone};
use super::visitors::{Visitor, under_load};
use crate::caller::Answer;
use crate::stack::{PASSWORD, Stack, unique};
use crate::targets::{Database, is_outside, redis_url};

const ROUNDS: usize = 10;

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn three_instances_are_one() {
    three(async |services| {
        under_load(services, async {
            let stacks = join_all(services.iter().map(Mortal::stack)).await;
            for round in 0..ROUNDS {
                let turned = [0, 1, 2].map(|index| &*stacks[(round + index) % 3]);
                one_successor(turned).await;
                a_logout_is_final(turned).await;
                one_owner_of_a_name(turned).await;
                one_password(turned).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn death_of_one_of_three_instances_ends_no_session() {
    three(async |services| {
        under_load(services, async {
            let over = Cell::new(false);
            let deaths = async {
                for _ in 0..ROUNDS {
                    let service = &services[below(3)];
                    service.kill().await;
                    sleep(Duration::from_millis(below(100) as u64)).await;
                    service.revive().await;
                }
                over.set(true);
            };
            let life = async {
                while !over.get() {
                    a_life(services).await;
                }
            };
            join(deaths, life).await;
        })
        .await;
    })
    .await;
}

/// Runs `story` with three instances of auth-service on one Redis and one Postgres.
async fn three(story: impl AsyncFn(&[Mortal])) {
    if is_outside("three instances of auth-service") {
        return;
    }
    let (database, redis, [access, refresh]) = (Database::new().await, redis_url(), &secrets());
    let stores = [("AUTH_DATABASE_URL", &*database.url), ("REDIS_URL", &redis)];
    let settings = [stores, [(access.0, &*access.1), (refresh.0, &refresh.1)]].concat();
    let services = join_all((0..3).map(|_| Mortal::auth_service(&settings))).await;
    story(&services).await;
    join_all(services.iter().map(Mortal::kill)).await;
    database.remove().await;
}

async fn one_successor(stacks: [&Stack; 3]) {
    let visitor = Visitor::new(stacks[0]).await;
    let body = json!({"token": visitor.tokens.refresh});
    let answers = join_all(stacks.map(|stack| stack.insist("/token", &body))).await;
    let successors: Vec<String> = answers.into_iter().map(|answer| answer.tokens().refresh).collect();
    assert_ne!(successors[0], visitor.tokens.refresh);
    assert!(successors.iter().all(|other| *other == successors[0]), "{successors:#?}");
    stacks[1].insist("/token", &json!({"token": successors[0]})).await.is(200);
}

async fn a_logout_is_final(stacks: [&Stack; 3]) {
    let visitor = Visitor::new(stacks[0]).await;
    let body = json!({"token": visitor.tokens.refresh});
    stacks[0].insist("/logout", &body).await.is(200);
    join_all(stacks.map(async |stack| stack.insist("/token", &body).await.refused(403, "invalid_refresh_token"))).await;
}

async fn one_owner_of_a_name(stacks: [&Stack; 3]) {
    let body = json!({"username": unique("newcomer"), "password": PASSWORD});
    let answers = join_all(stacks.map(|stack| stack.insist("/register", &body))).await;
    let (owners, others): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(Answer::is_ok);
    assert_eq!((owners.len(), others.len()), (1, 2), "{owners:#?} {others:#?}");
    for other in others {
        other.refused(409, "username_taken");
    }
}

async fn one_password(stacks: [&Stack; 3]) {
    let visitor = Visitor::new(stacks[0]).await;
    let elsewhere = stacks[1].log_in(&visitor.name, PASSWORD).await;
    let new = format!("{PASSWORD} again");
    let body = json!({"currentPassword": PASSWORD, "newPassword": new});
    let owner = stacks[0].auth().bearer(&visitor.tokens.access);
    owner.try_call(Method::PUT, "/me/password", Some(body)).await.unwrap().is(204);
    join_all(stacks.map(async |stack| {
        let [old, new] = [PASSWORD, &*new].map(|password| json!({"username": visitor.name, "password": password}));
        stack.insist("/login", &old).await.refused(401, "invalid_credentials");
        stack.insist("/login", &new).await.is(200);
        let ended = json!({"token": elsewhere.refresh});
        stack.insist("/token", &ended).await.refused(403, "invalid_refresh_token");
    }))
    .await;
    stacks[2].insist("/token", &json!({"token": visitor.tokens.refresh})).await.is(200);
}

/// Registers, logs in, refreshes and logs out, each at a random live instance, and again if that instance dies.
async fn a_life(services: &[Mortal]) {
    let credentials = json!({"username": unique("mayfly"), "password": PASSWORD});
    let registered = anywhere(services, "/register", &credentials).await;
    if !registered.is_ok() {
        // An earlier attempt has registered the name, and its response was lost.
        registered.refused(409, "username_taken");
    }
    let first = anywhere(services, "/login", &credentials).await.tokens();
    let next = anywhere(services, "/token", &json!({"token": first.refresh})).await.tokens();
    let body = json!({"token": next.refresh});
    anywhere(services, "/logout", &body).await.is(200);
    for service in services {
        if let Some(stack) = service.now()
            && let Ok(answer) = stack.auth().try_post("/token", body.clone()).await
            && !answer.is_unavailable()
        {
            answer.refused(403, "invalid_refresh_token");
        }
    }
}

/// Sends the request to random instances until one responds.
async fn anywhere(services: &[Mortal], path: &str, body: &Value) -> Answer {
    loop {
        let stack = someone(services).await;
        if let Ok(answer) = stack.auth().try_post(path, body.clone()).await
            && !answer.is_unavailable()
        {
            return answer;
        }
    }
}
