//! The real code compared with its specification: for any events in any order, both give the same results.

mod flawed;
mod machine;
mod model;
mod script;
mod subject;

use std::cell::Cell;
use std::time::Instant;

use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use self::flawed::{Flaw, Flawed};
use self::machine::Case;
use self::model::Rules;
use self::script::op;
use self::subject::{Place, Subject};
use crate::busy::served;

const RULES: Rules = Rules { ttl: 239, max_age: 599, grace: 19, most: 3 };
const STRICT: Rules = Rules { grace: 0, ..RULES };

/// The maximum number of events in a case.
const LENGTH: usize = 60;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs random cases until `steps` events have happened. The error of a failing case is its shortest form, and why.
fn try_out(subject: &Subject, runtime: &Runtime, steps: usize, shrinks: u32) -> Result<(), String> {
    let mut done = 0;
    while done < steps {
        let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: shrinks, ..Config::default() };
        let length = Cell::new(0);
        let outcome = TestRunner::new(config).run(&vec(op(), LENGTH / 4..LENGTH), |ops| {
            length.set(ops.len());
            let case = served(async || Case::new(subject).run(&ops).await);
            runtime.block_on(case).map_err(TestCaseError::fail)
        });
        outcome.map_err(|why| why.to_string())?;
        done += length.get();
    }
    Ok(())
}

fn agrees(place: Place, steps: usize) {
    let runtime = runtime();
    for (rules, share) in [(RULES, 3), (STRICT, 1)] {
        let subject = runtime.block_on(Subject::new(place, rules));
        let (steps, started) = (steps * share / 4, Instant::now());
        try_out(&subject, &runtime, steps, 1000).unwrap_or_else(|why| panic!("{why}"));
        println!("{steps} steps in {:?}", started.elapsed());
        runtime.block_on(subject.close());
    }
}

#[test]
fn sqlite_agrees_with_the_model() {
    agrees(Place::Sqlite, 4000);
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
fn postgres_agrees_with_the_model() {
    agrees(Place::Postgres, 4000);
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
fn redis_agrees_with_the_model() {
    agrees(Place::Redis, 6000);
}

/// The number of steps of the long tests: `MODEL_STEPS`, so that millions can run in a night.
#[expect(clippy::disallowed_methods, reason = "it is no setting of the service")]
fn many() -> usize {
    std::env::var("MODEL_STEPS").map_or(100_000, |steps| steps.parse().expect("MODEL_STEPS is a number"))
}

#[test]
#[ignore = "long: ./test --long runs it"]
fn sqlite_agrees_with_the_model_for_long() {
    agrees(Place::Sqlite, many());
}

#[test]
#[ignore = "long: ./test --long runs it"]
fn postgres_agrees_with_the_model_for_long() {
    agrees(Place::Postgres, many());
}

#[test]
#[ignore = "long: ./test --long runs it"]
fn redis_agrees_with_the_model_for_long() {
    agrees(Place::Redis, many());
}

/// A store in memory that keeps the rules, so that each flaw below is the only one.
#[test]
fn a_store_without_a_flaw_agrees_with_the_model() {
    agrees(Place::Memory(None), 3000);
}

macro_rules! planted {
    ($($test:ident: $flaw:ident under $rules:ident;)+) => {$(
        #[test]
        fn $test() {
            let runtime = runtime();
            let subject = runtime.block_on(Subject::new(Place::Memory(Some(Flaw::$flaw)), $rules));
            let found = try_out(&subject, &runtime, 50_000, 0).expect_err("the flaw was not found");
            runtime.block_on(subject.close());
            println!("{found}");
        }
    )+};
}

planted! {
    it_finds_a_grace_without_a_limit: EndlessGrace under RULES;
    it_finds_a_grace_for_grandparents: GraceForGrandparents under RULES;
    it_finds_a_grace_after_death: GraceAfterDeath under RULES;
    it_finds_a_grace_that_slides: SlidingGrace under RULES;
    it_finds_a_grace_where_there_is_none: GraceAtZero under STRICT;
    it_finds_a_check_before_the_write: CheckThenWrite under RULES;
    it_finds_an_expiry_beyond_the_end: UncappedExpiry under RULES;
    it_finds_a_replay_that_ends_nothing: HarmlessReplay under RULES;
    it_finds_an_end_of_all_but_the_newest: ForgetfulEndOfAll under RULES;
    it_finds_a_session_taken_by_another_user: AnybodysSession under RULES;
    it_finds_a_kill_by_a_forged_token: BelievesForgeries under RULES;
    it_finds_a_role_copied_from_the_login: CopiedRole under RULES;
    it_finds_a_logout_by_current_tokens_only: PickyLogout under RULES;
    it_finds_a_disabled_user_who_goes_on: UserNotRead under RULES;
    it_finds_a_login_that_ends_nothing: Unbounded under RULES;
    it_finds_a_login_that_ends_the_session_used_last: EndsTheUsed under RULES;
    it_finds_an_end_of_all_that_revives_the_excepted: RevivedException under RULES;
}
