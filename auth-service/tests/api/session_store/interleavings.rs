//! A property: for any order of logins, refreshes, ends, cut-offs and reads, the next read refuses a token if and only
//! if the token was revoked after it was issued.

use std::sync::Arc;

use auth_service::revocations::RevocationReader;
use auth_service::sessions::{Rotation, Session};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use shared_claims::Revocations;

use super::{Kind, RULES, Stage, new_user};
use crate::busy::served;

const USERS: usize = 2;

#[derive(Clone, Debug)]
enum Op {
    LogIn {
        user: usize,
    },
    /// A refresh of the session opened `session` logins ago; a retry of its last use if `again`.
    Refresh {
        session: usize,
        again: bool,
    },
    End {
        session: usize,
    },
    /// All sessions of a user, except the newest if `but_one`.
    EndAll {
        user: usize,
        but_one: bool,
    },
    CutOff {
        user: usize,
    },
    Read,
}

fn op() -> impl Strategy<Value = Op> {
    let (user, session) = (|| 0..USERS, || 0..5_usize);
    prop_oneof![
        4 => user().prop_map(|user| Op::LogIn { user }),
        4 => (session(), any::<bool>()).prop_map(|(session, again)| Op::Refresh { session, again }),
        2 => session().prop_map(|session| Op::End { session }),
        2 => (user(), any::<bool>()).prop_map(|(user, but_one)| Op::EndAll { user, but_one }),
        2 => user().prop_map(|user| Op::CutOff { user }),
        3 => Just(Op::Read),
    ]
}

/// A session and all its access tokens: the date of each, and true if it was revoked.
struct Held {
    user: usize,
    session: Session,
    tokens: Vec<(u64, bool)>,
    ended: bool,
}

struct World {
    stage: Stage,
    users: Vec<String>,
    reader: RevocationReader,
    known: Revocations,
    sessions: Vec<Held>,
}

impl World {
    async fn new(kind: Kind) -> Self {
        let (stage, known) = (kind.stage(RULES).await, Revocations::new(None));
        let reader = RevocationReader::new(Arc::clone(&stage.store), known.clone());
        Self { stage, users: (0..USERS).map(|_| new_user()).collect(), reader, known, sessions: vec![] }
    }

    async fn take(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let store = Arc::clone(&self.stage.store);
        match *op {
            Op::LogIn { user } => {
                let session = store.open(&self.users[user], super::label()).await.unwrap();
                self.sessions.push(Held { user, tokens: vec![(date(&session), false)], session, ended: false });
            }
            Op::Refresh { session, again } => {
                let Some(held) = nth_last(&mut self.sessions, session).filter(|held| !held.ended) else {
                    return Ok(());
                };
                let presented = held.session.generation - i64::from(again && held.session.generation > 1);
                match store.rotate(&held.session.user_id, held.session.id, presented).await.unwrap() {
                    Rotation::Rotated(session) | Rotation::Retried(session) => {
                        held.tokens.push((date(&session), false));
                        held.session = session;
                    }
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
            Op::End { session } => {
                let Some(held) = nth_last(&mut self.sessions, session) else { return Ok(()) };
                store.end(&held.session.user_id, held.session.id).await.unwrap();
                held.end();
            }
            Op::EndAll { user, but_one } => {
                let kept = self.sessions.iter().rfind(|held| but_one && held.user == user && !held.ended);
                let kept = kept.map(|held| held.session.id);
                store.end_all(&self.users[user], kept).await.unwrap();
                for held in self.sessions.iter_mut().filter(|held| held.user == user) {
                    if Some(held.session.id) == kept { held.revoke_tokens() } else { held.end() }
                }
            }
            Op::CutOff { user } => {
                store.revoke_access_tokens(&self.users[user]).await.unwrap();
                self.sessions.iter_mut().filter(|held| held.user == user).for_each(Held::revoke_tokens);
            }
            Op::Read => self.reader.read_on().await.unwrap(),
        }
        if matches!(op, Op::Read) { self.check() } else { Ok(()) }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for held in &self.sessions {
            let (sid, sub) = (held.session.id.to_string(), &held.session.user_id);
            for (iat, gone) in &held.tokens {
                prop_assert_eq!(self.known.is_revoked(&sid, sub, *iat), *gone, "session {}, dated {}", sid, iat);
            }
        }
        Ok(())
    }
}

impl Held {
    fn revoke_tokens(&mut self) {
        for (_, gone) in &mut self.tokens {
            *gone = true;
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.revoke_tokens();
    }
}

fn nth_last(sessions: &mut [Held], number: usize) -> Option<&mut Held> {
    sessions.iter_mut().rev().nth(number)
}

fn date(session: &Session) -> u64 {
    u64::try_from(session.issued_at / 1000).unwrap()
}

fn holds(kind: Kind, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(op(), 10..40), |ops| {
        runtime.block_on(served(async || {
            let mut world = World::new(kind).await;
            for op in ops.iter().chain([&Op::Read]) {
                world.take(op).await?;
            }
            Ok(())
        }))
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn sqlite_token_is_refused_if_and_only_if_it_was_revoked() {
    holds(Kind::Sqlite, 12);
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
fn postgres_token_is_refused_if_and_only_if_it_was_revoked() {
    holds(Kind::Postgres, 6);
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
fn redis_token_is_refused_if_and_only_if_it_was_revoked() {
    holds(Kind::Redis, 25);
}
