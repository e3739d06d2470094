//! Sessions: what a refresh token names, and the one atomic step that a refresh is.
//!
//! A session is one record, whatever the number of its tokens. A refresh token names user, session and *generation*; the
//! record knows the current generation, so at most one refresh token per session is worth anything. No token is stored.
//!
//! All times are milliseconds since 1970 by the store's own clock: the machines that ask may disagree, the store does not.

mod redis;
mod session;
mod sql;

use async_trait::async_trait;
use shared_claims::Revocation;
use shared_service::database::StoreError;

pub use self::redis::RedisSessions;
pub use self::session::{
    FIRST_GENERATION, Label, MOST_SESSIONS, NewSession, NotASessionId, Rules, Session, SessionId, SessionPosition,
};
pub use self::sql::{MIGRATIONS, SqlSessions};
pub use crate::revocations::{Changes, Cursor, Position};

/// The outcome of the use of a refresh token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// It was current. The session is now one generation further; its idle time starts again.
    Rotated(Session),
    /// It was one behind, and its successor was made at most [`Rules::grace`] ago: the answer was lost, or two tabs asked
    /// at once. The session as it stands; nothing changed, and the grace did not start again.
    Retried(Session),
    /// No such session of this user: ended, expired, or never there.
    Unknown,
    /// Older, one behind after the grace, or ahead of the store: the token was copied, or the store lost a write. This call ended the session, and only the first of such calls is told so.
    Reused,
}

/// A store of sessions. Each method is one atomic step of the store, however many instances share it.
///
/// After [`StoreError::Unavailable`] it is unknown whether the step took effect; an implementation never tries again by
/// itself. An answer means that the store has acknowledged the write.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Opens a session at [`FIRST_GENERATION`]. Where its user has [`MOST_SESSIONS`] already, the one that was unused longest ends, and
    /// it is listed that it ended.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn open(&self, session: NewSession) -> Result<Session, StoreError>;

    /// Presents generation `presented` of the session `id` of `user_id`.
    ///
    /// # Errors
    /// The store is unavailable, or the record is corrupt.
    async fn rotate(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Rotation, StoreError>;

    /// Ends a session, whatever generation it is at, and lists that it ended. True when it was alive, so at most once.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError>;

    /// Lists the end of a session that the store has already forgotten. To be called only with an id from a token whose signature was
    /// verified.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError>;

    /// Ends all sessions of a user, but for `except`, and cuts the user's access tokens off; how many were alive. Takes no longer where
    /// there are many, and counts no more than a few hundred.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError>;

    /// Cuts all access tokens of a user off that were issued so far, of sessions that go on, too.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn revoke_access_tokens(&self, user_id: &str) -> Result<(), StoreError>;

    /// The list of revocations behind `cursor`; all of it, where the cursor is not this list's.
    ///
    /// # Errors
    /// The store is unavailable, or an entry is corrupt.
    async fn revoked(&self, cursor: &Cursor) -> Result<Changes, StoreError>;

    /// At most `limit` of the living sessions of a user, the newest first: those that come after the place `after`.
    ///
    /// # Errors
    /// The store is unavailable, or a record is corrupt.
    async fn list(
        &self,
        user_id: &str,
        after: Option<SessionPosition>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError>;

    /// Asks the store for a sign of life.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// All living sessions of a user, the newest first.
///
/// # Errors
/// The store's.
pub async fn list_all(store: &dyn SessionStore, user_id: &str) -> Result<Vec<Session>, StoreError> {
    let mut sessions: Vec<Session> = Vec::new();
    loop {
        let after = sessions.last().map(Session::position);
        let page = store.list(user_id, after, MOST_SESSIONS).await?;
        let is_last = page.len() < MOST_SESSIONS;
        sessions.extend(page);
        if is_last {
            return Ok(sessions);
        }
    }
}

/// All revocations that are not over, as a verifier that starts now would read them.
///
/// # Errors
/// The store's.
pub async fn all_revoked(store: &dyn SessionStore) -> Result<Vec<Revocation>, StoreError> {
    let (mut cursor, mut entries) = (Cursor::default(), Vec::new());
    loop {
        let (place, changes) = (cursor.clone(), store.revoked(&cursor).await?);
        cursor.move_past(&changes);
        entries.extend(changes.shards.into_iter().flat_map(|shard| shard.entries).map(|(_, entry)| entry));
        if !changes.more || cursor == place {
            return Ok(entries);
        }
    }
}
