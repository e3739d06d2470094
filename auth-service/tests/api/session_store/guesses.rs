//! Consecutive wrong passwords, counted by the store that keeps the sessions.

use std::time::Duration;

use auth_service::limits::Attempt;
use futures_util::future::join_all;
use uuid::Uuid;

use super::{Kind, MINUTE, RULES, SECOND, Stage};

const LIMIT: u32 = 3;

impl Stage {
    async fn attempt(&self, name: &str) -> Attempt {
        self.failures.attempt(name, LIMIT).await.unwrap()
    }

    /// True if the result of a free attempt may be revealed.
    async fn settle(&self, name: &str, success: bool) -> bool {
        self.failures.settle(name, LIMIT, success).await.unwrap().is_none()
    }

    /// Fails as often as is possible without a wait.
    async fn exhaust(&self, name: &str) {
        for _ in 0..LIMIT {
            assert_eq!(self.attempt(name).await, Attempt::Free);
            assert!(self.settle(name, false).await);
        }
    }

    /// Asserts a wait of `about`, or up to a second less: the test itself takes time.
    async fn assert_waits(&self, name: &str, about: Duration) {
        match self.attempt(name).await {
            Attempt::Wait(wait) => assert!(wait <= about && wait + SECOND > about, "{wait:?}, not {about:?}"),
            other => panic!("{other:?}, not a wait of {about:?}"),
        }
    }
}

fn new_name() -> String {
    Uuid::new_v4().to_string()
}

pub async fn each_failure_beyond_the_limit_doubles_the_wait(kind: Kind) {
    let (stage, name) = (kind.stage(RULES).await, new_name());
    stage.exhaust(&name).await;
    let mut wait = SECOND;
    for _ in 0..14 {
        stage.assert_waits(&name, wait).await;
        stage.pass(wait);
        assert_eq!(stage.attempt(&name).await, Attempt::Single, "one attempt, after the wait");
        wait = (2 * wait).min(15 * MINUTE);
    }
    stage.assert_waits(&name, 15 * MINUTE).await;
}

pub async fn success_resets_the_failures(kind: Kind) {
    let (stage, name) = (kind.stage(RULES).await, new_name());
    for _ in 0..3 {
        stage.exhaust(&name).await;
        stage.pass(SECOND);
        assert_eq!(stage.attempt(&name).await, Attempt::Single);
        stage.failures.forget(&name).await.unwrap();
    }
    for _ in 0..10 {
        assert!(stage.settle(&name, false).await);
        assert!(stage.settle(&name, true).await);
    }
    assert_eq!(stage.attempt(&name).await, Attempt::Free);
}

pub async fn names_do_not_touch_each_other(kind: Kind) {
    let (stage, one, two) = (kind.stage(RULES).await, new_name(), new_name());
    stage.exhaust(&one).await;
    assert_eq!(stage.attempt(&two).await, Attempt::Free);
    assert!(stage.settle(&two, true).await);
    stage.assert_waits(&one, SECOND).await;
}

pub async fn failures_are_forgotten_a_while_after_the_last_wait(kind: Kind) {
    let (stage, name) = (kind.stage(RULES).await, new_name());
    stage.exhaust(&name).await;
    stage.pass(14 * MINUTE);
    assert_eq!(stage.attempt(&name).await, Attempt::Single, "remembered");
    stage.pass(16 * MINUTE);
    stage.exhaust(&name).await;
    stage.assert_waits(&name, SECOND).await;
}

pub async fn one_of_concurrent_attempts_after_a_wait_is_allowed(kind: Kind) {
    let (stage, name) = (kind.stage(RULES).await, new_name());
    stage.exhaust(&name).await;
    stage.pass(SECOND);
    let answers = join_all((0..20).map(|_| stage.attempt(&name))).await;
    let (single, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| *answer == Attempt::Single);
    assert_eq!(single.len(), 1);
    assert!(others.iter().all(|answer| matches!(answer, Attempt::Wait(_))), "{others:?}");
}

pub async fn concurrent_guesses_reveal_no_more_than_consecutive_ones(kind: Kind) {
    let (stage, name) = (kind.stage(RULES).await, new_name());
    for _ in 0..20 {
        assert_eq!(stage.attempt(&name).await, Attempt::Free, "each began before the first failure");
    }
    let told = join_all((0..19).map(|_| stage.settle(&name, false))).await;
    assert_eq!(told.iter().filter(|told| **told).count(), LIMIT as usize, "{told:?}");
    assert!(!stage.settle(&name, true).await, "a success after them is not revealed either");
    stage.assert_waits(&name, SECOND).await;
    stage.pass(SECOND);
    assert_eq!(stage.attempt(&name).await, Attempt::Single);
    stage.assert_waits(&name, 2 * SECOND).await;
}

pub async fn concurrent_successes_are_all_revealed(kind: Kind) {
    let (stage, name) = (kind.stage(RULES).await, new_name());
    let told = join_all((0..20).map(|_| stage.settle(&name, true))).await;
    assert!(told.iter().all(|told| *told), "{told:?}");
}

pub async fn clock_set_back_bounds_the_wait(kind: Kind) {
    let (stage, name) = (kind.stage(RULES).await, new_name());
    stage.exhaust(&name).await;
    stage.set_back(100 * MINUTE);
    stage.assert_waits(&name, 15 * MINUTE).await;
}
