//! A store in memory with one flaw, and flaws of the layer before the store: bugs that other services have had.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_service::sessions::{
    Changes, Cursor, Label, Rotation, Rules, Session, SessionId, SessionPosition, SessionStore,
};
use shared_service::clock::now_ms;
use shared_service::database::StoreError;
use tokio::task::yield_now;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    // Flaws of the store.
    EndlessGrace,
    GraceForGrandparents,
    GraceAfterDeath,
    SlidingGrace,
    GraceAtZero,
    CheckThenWrite,
    UncappedExpiry,
    HarmlessReplay,
    ForgetfulEndOfAll,
    AnybodysSession,
    Unbounded,
    EndsTheUsed,
    RevivedException,
    // Flaws of the layer before the store: see `machine`.
    BelievesForgeries,
    CopiedRole,
    PickyLogout,
    UserNotRead,
}

pub struct Flawed {
    flaw: Option<Flaw>,
    rules: Rules,
    most: usize,
    skew_ms: Arc<AtomicI64>,
    sessions: Mutex<HashMap<SessionId, Record>>,
}

#[derive(Clone)]
struct Record {
    session: Session,
    /// When the grace began.
    graced_at: i64,
    ended: bool,
}

impl Flawed {
    pub fn new(flaw: Option<Flaw>, rules: Rules, most: usize, skew_ms: Arc<AtomicI64>) -> Self {
        Self { flaw, rules, most, skew_ms, sessions: Mutex::default() }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn now(&self) -> i64 {
        now_ms() + self.skew_ms.load(Ordering::Relaxed)
    }

    fn ttl(&self) -> i64 {
        ms(self.rules.refresh_ttl)
    }

    /// Rotates a record for the generation `presented`.
    fn rotated(&self, record: &mut Record, user_id: &str, presented: i64) -> Rotation {
        let (now, grace) = (self.now(), ms(self.rules.grace));
        let Record { session, graced_at, ended } = record;
        let behind = session.generation - presented;
        let recent = now - *graced_at <= grace || self.is(Flaw::EndlessGrace);
        let graceful = grace > 0 || self.is(Flaw::GraceAtZero);
        let near = behind == 1 || (behind == 2 && self.is(Flaw::GraceForGrandparents));
        let repeats = near && presented > 0 && recent && graceful;
        let theirs = session.user_id == user_id || self.is(Flaw::AnybodysSession);
        if !theirs || session.idle_ends_at <= now || (*ended && !(repeats && self.is(Flaw::GraceAfterDeath))) {
            return Rotation::Unknown;
        }
        if behind == 0 {
            session.generation += 1;
            (session.rotated_at, session.issued_at, *graced_at) = (now, now, now);
            session.idle_ends_at = now + self.ttl();
            if !self.is(Flaw::UncappedExpiry) {
                session.idle_ends_at = session.idle_ends_at.min(session.ends_at);
            }
            return Rotation::Rotated(session.clone());
        }
        if repeats {
            if self.is(Flaw::SlidingGrace) {
                *graced_at = now;
            }
            return Rotation::Retried(session.clone());
        }
        *ended = !self.is(Flaw::HarmlessReplay);
        Rotation::Reused
    }
}

#[async_trait]
impl SessionStore for Flawed {
    async fn open(&self, user_id: &str, label: Label) -> Result<Session, StoreError> {
        let now = self.now();
        let mut living = self.list(user_id, None, usize::MAX).await?;
        living.sort_unstable_by_key(|session| session.rotated_at);
        if living.len() >= self.most && !self.is(Flaw::Unbounded) {
            let ended = if self.is(Flaw::EndsTheUsed) { living.last() } else { living.first() };
            self.end(user_id, ended.unwrap().id).await?;
        }
        let session = Session {
            id: Uuid::new_v4().to_string().parse().unwrap(),
            user_id: user_id.to_owned(),
            generation: 1,
            opened_at: now,
            rotated_at: now,
            issued_at: now,
            issued_ahead: 0,
            // This store revokes no tokens, so a user is always read again.
            is_user_revoked: true,
            idle_ends_at: now + self.ttl(),
            ends_at: now + ms(self.rules.max_age),
            label,
        };
        let record = Record { session: session.clone(), graced_at: now, ended: false };
        self.sessions.lock().unwrap().insert(session.id, record);
        Ok(session)
    }

    async fn rotate(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Rotation, StoreError> {
        if self.is(Flaw::CheckThenWrite) {
            let found = self.sessions.lock().unwrap().get(&id).cloned();
            yield_now().await;
            let Some(mut record) = found else { return Ok(Rotation::Unknown) };
            let outcome = self.rotated(&mut record, user_id, presented);
            self.sessions.lock().unwrap().insert(id, record);
            return Ok(outcome);
        }
        let mut sessions = self.sessions.lock().unwrap();
        Ok(sessions.get_mut(&id).map_or(Rotation::Unknown, |record| self.rotated(record, user_id, presented)))
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        let now = self.now();
        let mut sessions = self.sessions.lock().unwrap();
        let Some(record) = sessions.get_mut(&id).filter(|record| record.session.user_id == user_id) else {
            return Ok(false);
        };
        let alive = !record.ended && record.session.idle_ends_at > now;
        record.ended = true;
        Ok(alive)
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        let mut living = self.list(user_id, None, usize::MAX).await?;
        if let Some(id) = except.filter(|_| self.is(Flaw::RevivedException)) {
            let mut sessions = self.sessions.lock().unwrap();
            let excepted = sessions.get_mut(&id).filter(|record| record.session.user_id == user_id);
            if let Some(record) = excepted {
                record.ended = false;
            }
        }
        living.retain(|session| Some(session.id) != except);
        if self.is(Flaw::ForgetfulEndOfAll) && living.len() > 1 {
            living.remove(0);
        }
        let mut ended = 0;
        for session in living {
            ended += u64::from(self.end(user_id, session.id).await?);
        }
        Ok(ended)
    }

    async fn end_forgotten(&self, _: &str, _: SessionId) -> Result<(), StoreError> {
        Ok(())
    }

    /// Does nothing: the model does not cover access tokens.
    async fn revoke_access_tokens(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn revoked(&self, cursor: &Cursor) -> Result<Changes, StoreError> {
        Ok(Changes { list: cursor.list.clone(), now: self.now(), shards: vec![], more: false, corrupt: vec![] })
    }

    /// All live sessions on one page.
    async fn list(&self, user_id: &str, _: Option<SessionPosition>, _: usize) -> Result<Vec<Session>, StoreError> {
        let now = self.now();
        let sessions = self.sessions.lock().unwrap();
        let alive =
            |record: &&Record| record.session.user_id == user_id && !record.ended && record.session.idle_ends_at > now;
        let mut living: Vec<_> = sessions.values().filter(alive).map(|record| record.session.clone()).collect();
        living.sort_unstable_by_key(|session| std::cmp::Reverse(session.position()));
        Ok(living)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn ms(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}
