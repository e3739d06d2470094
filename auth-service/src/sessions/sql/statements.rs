//! The statements of [`super::SqlSessions`]: one text for `SQLite` and Postgres. And the reader of their rows.
//!
//! All but `LIST`, `COUNT_OPEN`, `END`, `END_FORGOTTEN` and the sweeps run with the user's row locked: see `lock.rs`.

use shared_service::database::StoreError;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::super::{Label, Session};
use crate::SESSION_STORE;

/// $1 the user, $2 the time until which a new row is kept. A new row has the era of the existing sessions.
pub(super) const TAKE_TURN: &str = "
INSERT INTO cutoffs (user_id, not_before, tokens_end_at, position, waiting, era, turn)
SELECT $1, 0, $2, 0, 0, COALESCE(MAX(era), 0), 0 FROM sessions WHERE user_id = $1 AND ended_at = 0
ON CONFLICT (user_id) DO UPDATE SET turn = cutoffs.turn + 1
RETURNING era, not_before";

/// $2 its user, $3 the first generation, $4 now, $9 the date of its first access token, $10 the expiry of that token,
/// $11 the era.
pub(super) const OPEN: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at, era)
VALUES ($1, $2, $3, 0, $4, $4, $5, $6, 0, $7, $8, $9, $10, $11)";

/// $3 the presented generation, $4 now, $5 the new idle end, $6 the grace, $7 the first generation, $8 the date of a
/// token, $9 the latest time by a correct clock, $10 the expiry of the token, $11 the era. Expressions read the old
/// row, `RETURNING` the new one. The grace also holds for a clock that is up to 10 s behind the one that dated the last
/// rotation; a date further ahead comes from a wrong clock. The last two assignments do not matter after a reuse: its
/// revocation covers the tokens issued before.
pub(super) const ROTATE: &str = "
UPDATE sessions SET
    generation = CASE WHEN generation = $3 THEN generation + 1 ELSE generation END,
    repeats = CASE WHEN generation = $3 THEN 0 ELSE repeats + 1 END,
    advanced_at = CASE WHEN generation = $3 THEN $4 ELSE advanced_at END,
    idle_ends_at = CASE
        WHEN generation <> $3 THEN idle_ends_at
        WHEN $5 < ends_at THEN $5
        ELSE ends_at END,
    ended_at = CASE
        WHEN generation = $3 THEN 0
        WHEN generation - 1 = $3 AND $3 >= $7 AND $6 > 0 AND $4 - advanced_at BETWEEN -10000 AND $6 THEN 0
        ELSE $4 END,
    issued_at = CASE WHEN issued_at > $8 AND issued_at <= $9 THEN issued_at ELSE $8 END,
    tokens_end_at = CASE WHEN tokens_end_at > $10 THEN tokens_end_at ELSE $10 END
WHERE id = $1 AND user_id = $2 AND ended_at = 0 AND idle_ends_at > $4 AND era = $11
RETURNING id, user_id, generation, opened_at, advanced_at, idle_ends_at, ends_at, user_agent, address, issued_at,
    repeats, ended_at";

/// $3 now, $4 the time for which a token is listed, from its `iat`. An expired session is ended too: a caller whose
/// clock is slightly behind may still see it alive. Eras only grow, so a live session is never of an older era than the
/// one read. For a session opened by an older version, the lifetime of its tokens is unknown.
pub(super) const END: &str = "
UPDATE sessions SET
    ended_at = $3,
    tokens_end_at = CASE WHEN tokens_end_at = 0 THEN $3 + $4 ELSE tokens_end_at END
WHERE id = $1 AND user_id = $2 AND ended_at = 0
AND era >= COALESCE((SELECT era FROM cutoffs WHERE cutoffs.user_id = $2), 0)
RETURNING idle_ends_at";

/// $3 now, $4 the expiry of its tokens. The row only records the end.
pub(super) const END_FORGOTTEN: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at)
VALUES ($1, $2, 1, 0, $3, $3, $3, $3, $3, '', '', $3, $4)
ON CONFLICT (id) DO NOTHING";

/// $2 the era, $3 now, $4 the limit.
pub(super) const UNUSED_LONGEST: &str = "
SELECT id FROM sessions WHERE user_id = $1 AND era = $2 AND ended_at = 0 AND idle_ends_at > $3
ORDER BY advanced_at, id LIMIT $4";

/// $2 the era, $3 now, $4 the limit.
pub(super) const COUNT_LIVING: &str = "
SELECT COUNT(*) FROM (
    SELECT id FROM sessions WHERE user_id = $1 AND era = $2 AND ended_at = 0 AND idle_ends_at > $3 LIMIT $4) AS living";

/// $2 the era that ends, $3 now, $4 the session to keep.
pub(super) const KEEP_ONE: &str = "
UPDATE sessions SET era = era + 1
WHERE id = $4 AND user_id = $1 AND era = $2 AND ended_at = 0 AND idle_ends_at > $3";

/// $2 the era that ends, $3 now, $4 the number of sessions to keep: those with the latest tokens. `+ 0` leaves both
/// databases only the index in that order, so that they read no other rows.
pub(super) const KEEP_USED: &str = "
UPDATE sessions SET era = era + 1
WHERE id IN (
    SELECT id FROM sessions
    WHERE user_id = $1 AND era + 0 = $2 AND ended_at + 0 = 0 AND idle_ends_at > $3
    ORDER BY tokens_end_at DESC LIMIT $4)";

pub(super) const NEXT_ERA: &str = "UPDATE cutoffs SET era = $2 WHERE user_id = $1";

/// $2 now, $3 the era, $4 the latest time by a correct clock. Returns the expiry of the user's last token, and the
/// latest `issued_at` ahead of now among kept sessions.
pub(super) const DATES: &str = "
SELECT COALESCE((SELECT MAX(tokens_end_at) FROM sessions WHERE user_id = $1), 0) AS last, COALESCE((
    SELECT MAX(issued_at) FROM sessions
    WHERE user_id = $1 AND era + 0 = $3 AND ended_at = 0 AND issued_at > $2 AND issued_at <= $4), 0) AS newest";

/// $2 the new notBefore, $3 the expiry of the last token before it.
pub(super) const REVOKE_BEFORE: &str = "
UPDATE cutoffs SET not_before = $2, waiting = 1,
    tokens_end_at = CASE WHEN not_before > 0 AND tokens_end_at > $3 THEN tokens_end_at ELSE $3 END
WHERE user_id = $1";

/// $2 the era that ended, $3 now, $4 notBefore, $5 the time for which a token is listed, from its `iat`. A session gets
/// its own entry only if notBefore does not cover its tokens: the newest ones, and any dated by a clock that was ahead.
pub(super) const LIST_LATE: &str = "
UPDATE sessions SET ended_at = $3
WHERE era = $2 AND ended_at = 0 AND id IN (
    SELECT id FROM sessions WHERE user_id = $1 AND ended_at = 0 AND issued_at >= $4
    UNION ALL SELECT id FROM sessions WHERE user_id = $1 AND tokens_end_at >= $4 + $5)";

/// $2 now, $3 and $4 the position to start after, $5 the limit.
pub(super) const LIST: &str = "
SELECT id, user_id, generation, opened_at, advanced_at, idle_ends_at, ends_at, user_agent, address, issued_at
FROM sessions
WHERE user_id = $1 AND ended_at = 0 AND idle_ends_at > $2 AND era = COALESCE(
    (SELECT era FROM cutoffs WHERE user_id = $1),
    (SELECT MAX(era) FROM sessions WHERE user_id = $1 AND ended_at = 0))
AND (opened_at, id) < ($3, $4)
ORDER BY opened_at DESC, id DESC LIMIT $5";

/// $1 now. The condition is repeated because an expired row may be refreshed before it is locked, by an instance whose
/// clock is slightly behind.
pub(super) const SWEEP: &str = "
DELETE FROM sessions
WHERE ((ended_at = 0 AND idle_ends_at <= $1) OR (ended_at > 0 AND tokens_end_at <= $1))
AND id IN (
    SELECT id FROM sessions
    WHERE (ended_at = 0 AND idle_ends_at <= $1) OR (ended_at > 0 AND tokens_end_at <= $1)
    LIMIT $2)";

/// $1 now, $2 the limit. Deletes sessions that ended with all others of their user; no step revives one. `$1` is
/// unused, so that both sweeps take the same arguments.
pub(super) const SWEEP_ERAS: &str = "
DELETE FROM sessions
WHERE $1 > 0 AND id IN (
    SELECT sessions.id FROM cutoffs
    JOIN sessions ON sessions.user_id = cutoffs.user_id AND sessions.era < cutoffs.era AND sessions.ended_at = 0
    WHERE cutoffs.era > 0 LIMIT $2)";

/// $1 now. Uses the index `sessions_open`: a million take some 40 ms. Does not count rows of older eras, which are not
/// swept yet.
pub(super) const COUNT_OPEN: &str = "
SELECT (SELECT COUNT(*) FROM sessions WHERE ended_at = 0 AND idle_ends_at > $1) - (
    SELECT COUNT(*) FROM cutoffs
    JOIN sessions ON sessions.user_id = cutoffs.user_id AND sessions.era < cutoffs.era AND sessions.ended_at = 0
    WHERE cutoffs.era > 0 AND sessions.idle_ends_at > $1)";

/// Reads a row that has all columns of a session.
pub(super) fn session(row: &AnyRow) -> Result<Session, StoreError> {
    let id: String = row.try_get("id")?;
    let session = Session {
        id: id.parse().map_err(|error| StoreError::corrupt(SESSION_STORE, format!("{id:?}: {error}")))?,
        user_id: row.try_get("user_id")?,
        generation: row.try_get("generation")?,
        opened_at: row.try_get("opened_at")?,
        rotated_at: row.try_get("advanced_at")?,
        issued_at: row.try_get("issued_at")?,
        issued_ahead: 0,
        idle_ends_at: row.try_get("idle_ends_at")?,
        ends_at: row.try_get("ends_at")?,
        is_user_revoked: false,
        label: Label { user_agent: row.try_get("user_agent")?, address: row.try_get("address")? },
    };
    session.checked()
}
