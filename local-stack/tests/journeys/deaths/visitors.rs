use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::journal::credentials;
use super::mortal::{Mortal, someone};
use crate::stack::{PASSWORD, Stack, Tokens, unique};
use crate::tokens::claims;

/// The shortest time between two refreshes of a visitor.
const PACE: Duration = Duration::from_millis(5);

/// A client with an account and one session.
pub struct Visitor {
    pub name: String,
    pub tokens: Tokens,
    rotations: u32,
}

impl Visitor {
    pub async fn new(stack: &Stack) -> Self {
        let name = unique("visitor");
        stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
        let tokens = stack.insist("/login", &credentials(&name, PASSWORD)).await.tokens();
        Self { name, tokens, rotations: 0 }
    }

    /// Refreshes with the same token at random `services` until one responds. The response must not be a refusal.
    async fn refresh(&mut self, services: &[Mortal]) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let stack = someone(services).await;
            let answer = stack.auth().try_post("/token", json!({"token": self.tokens.refresh})).await;
            if let Ok(answer) = answer
                && !answer.is_unavailable()
            {
                let next = answer.tokens();
                assert_eq!(generation(&next.refresh), generation(&self.tokens.refresh) + 1, "{}", self.name);
                self.tokens = next;
                self.rotations += 1;
                return;
            }
        }
    }
}

/// Runs `story` while visitors refresh at `services` continuously; none of them may lose the session.
pub async fn under_load(services: &[Mortal], story: impl Future<Output = ()>) {
    let stack = someone(services).await;
    let mut visitors = join_all((0..4).map(|_| Visitor::new(&stack))).await;
    let over = Cell::new(false);
    let visits = visitors.iter_mut().map(async |visitor| {
        while !over.get() {
            visitor.refresh(services).await;
        }
        visitor.refresh(services).await;
        assert!(visitor.rotations > 10, "no load: {} rotations", visitor.rotations);
    });
    let story = async {
        story.await;
        over.set(true);
    };
    join(story, join_all(visits)).await;
}

/// The generation of a refresh token.
pub fn generation(refresh_token: &str) -> u64 {
    claims(refresh_token)["gen"].as_u64().unwrap()
}
