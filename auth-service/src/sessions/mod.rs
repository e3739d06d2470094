//! Sessions: refresh token rotation with reuse detection, as one atomic step (RFC 9700 section 4.14.2).
//!
//! A session is one record, however many tokens it had. A refresh token names user, session and *generation*; the
//! record holds the current generation, so at most one refresh token per session is valid. No token is stored.
//!
//! All times are milliseconds since 1970 by the store's own clock, because the clocks of the instances may differ.

mod redis;
mod session;
mod sql;

use async_trait::async_trait;
use shared_claims::Revocation;
use shared_service::database::StoreError;

pub use self::redis::RedisSessions;
pub use self::session::{FIRST_GENERATION, Label, MOST_SESSIONS, Rules, Session, SessionId, SessionPosition};
pub use self::sql::SqlSessions;
pub use crate::revocations::{Changes, Cursor, Position};

/// The outcome of presenting a refresh token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// The token was current. The session has the next generation, and its idle time starts again.
    Rotated(Session),
    /// The token was one generation behind, and its successor was issued at most [`Rules::grace`] ago: the response was
    /// lost, or two tabs refreshed at once. Nothing changed; the grace period did not start again.
    Retried(Session),
    /// The user has no such session: it ended, expired, or never existed.
    Unknown,
    /// The token was older, or one behind after the grace period, or ahead of the store: it was copied, or the store
    /// lost a write. This call ended the session; later calls with the token get [`Rotation::Unknown`].
    Reused,
}

/// A store of sessions. Each method is one atomic step, however many instances share the store.
///
/// After [`StoreError::Unavailable`] it is unknown if the step took effect; an implementation never retries by itself.
/// A result means that the store has acknowledged the write. Each method fails if the store is unavailable; `rotate`,
/// `list` and `revoked` also if a record is corrupt.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Opens a session of a user at [`FIRST_GENERATION`]. If the user has [`MOST_SESSIONS`] already, the one unused for
    /// the longest time ends and is revoked.
    async fn open(&self, user_id: &str, label: Label) -> Result<Session, StoreError>;

    /// Presents generation `presented` of the session `id` of `user_id`.
    async fn rotate(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Rotation, StoreError>;

    /// Ends a session at any generation, and revokes it. True if it was alive.
    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError>;

    /// Revokes a session that the store has already forgotten. Call it only with an id from a token whose signature was
    /// verified.
    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError>;

    /// Ends all sessions of a user except `except`, and revokes the user's access tokens. Returns the number of
    /// sessions that were alive, counted up to a few hundred. The time does not depend on their number.
    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError>;

    /// Revokes all access tokens of a user issued so far; the sessions go on.
    async fn revoke_access_tokens(&self, user_id: &str) -> Result<(), StoreError>;

    /// Reads the revocation list after `cursor`; all of it if the cursor belongs to another list.
    async fn revoked(&self, cursor: &Cursor) -> Result<Changes, StoreError>;

    /// Reads at most `limit` live sessions of a user, the newest first, after the position `after`.
    async fn list(
        &self,
        user_id: &str,
        after: Option<SessionPosition>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError>;

    /// Checks that the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Reads all unexpired revocations, as a verifier does when it starts.
///
/// # Errors
/// As [`SessionStore::revoked`].
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
