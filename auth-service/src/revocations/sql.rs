//! The revocation list in SQL: one shard. Its entries are ended sessions and users' `notBefore`; the next reader
//! assigns their positions.
//!
//! If writers assigned the positions, they would have to do so in the order of their commits, or a reader could miss an
//! entry. Then two sessions could not end concurrently. So a reader takes a lock and assigns one new position to all
//! entries without one.

use std::time::{Duration, Instant};

use shared_claims::Revocation;
use shared_service::database::{StoreError, within};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Changes, Cursor, Position, ShardChanges, whole_seconds};
use crate::SESSION_STORE;
use crate::sql::SqlStore;

/// The maximum number of sessions, and of users, that get the same position.
const TURN: i64 = 2_000;
/// The time after which a transaction assigns no more positions, because writers wait for it.
const LONGEST: Duration = Duration::from_millis(100);
/// The number of entries in one read; more than twice `TURN`, which is the most that can share a position.
const PAGE: u32 = 8_000;

const NAMED: &str = "SELECT id FROM revocations WHERE id = 1";
const NAME: &str = "INSERT INTO revocations (id, list, position) VALUES (1, $1, 0) ON CONFLICT (id) DO NOTHING";

/// $1 now. Nearly all rows have position 0: with EXISTS and `position = 0`, the planner of Postgres expects a match among
/// the first rows of the table, and reads all of it. An order makes it use the index.
const STATE: &str = "
SELECT list, position, CASE
    WHEN (
        SELECT position FROM sessions
        WHERE ended_at > 0 AND tokens_end_at > 0 AND position < 1 AND tokens_end_at > $1
        ORDER BY position LIMIT 1) IS NOT NULL THEN 1
    WHEN (SELECT user_id FROM cutoffs WHERE waiting = 1 ORDER BY user_id LIMIT 1) IS NOT NULL THEN 1
    ELSE 0 END AS waiting
FROM revocations";

/// $1 now: positions follow the clock, so that a database restored to an older state repeats none.
const TAKE_TURN: &str = "
UPDATE revocations SET position = CASE WHEN position < $1 THEN $1 ELSE position + 1 END RETURNING list, position";

/// $1 the position, $2 the limit, $3 now. Locks rows in the same order as `end_all`.
const PLACE: [&str; 2] = [
    "
UPDATE cutoffs SET position = $1, waiting = 0
WHERE waiting = 1 AND $3 > 0 AND user_id IN (SELECT user_id FROM cutoffs WHERE waiting = 1 ORDER BY user_id LIMIT $2)",
    "
UPDATE sessions SET position = $1
WHERE id IN (
    SELECT id FROM sessions
    WHERE ended_at > 0 AND tokens_end_at > 0 AND position < 1 AND tokens_end_at > $3
    ORDER BY position LIMIT $2)",
];

/// $1 the position to start after, $2 the limit. Includes expired entries until they are swept: otherwise a clock that
/// is ahead for a while would skip valid ones.
const READ: &str = "
SELECT * FROM (
    SELECT id AS sid, '' AS sub, 0 AS not_before, tokens_end_at, position
    FROM sessions WHERE ended_at > 0 AND tokens_end_at > 0 AND position > $1
    ORDER BY position LIMIT $2) AS ended
UNION ALL
SELECT * FROM (
    SELECT '' AS sid, user_id AS sub, not_before, tokens_end_at, position
    FROM cutoffs WHERE position > $1
    ORDER BY position LIMIT $2) AS cut_off
ORDER BY position LIMIT $2";

/// $1 now, $2 the limit. Keeps a row while sessions of older eras exist, or if a step locked it meanwhile.
pub(crate) const SWEEP: &str = "
DELETE FROM cutoffs
WHERE (user_id, turn) IN (
    SELECT user_id, turn FROM cutoffs
    WHERE tokens_end_at <= $1 AND NOT EXISTS (
        SELECT 1 FROM sessions
        WHERE sessions.user_id = cutoffs.user_id AND sessions.era < cutoffs.era AND sessions.ended_at = 0)
    LIMIT $2)";

/// Gives the list a name, if it has none. Writes only then: a long import must not keep a service from starting.
pub(crate) async fn give_name(store: &SqlStore) -> Result<(), StoreError> {
    if within(SESSION_STORE, sqlx::query(NAMED).fetch_optional(&store.pool)).await?.is_some() {
        return Ok(());
    }
    let name = Uuid::new_v4().simple().to_string();
    within(SESSION_STORE, sqlx::query(NAME).bind(name).execute(&store.pool)).await.map(drop)
}

/// Reads the list after `cursor`, or all of it if the cursor belongs to another list.
pub(crate) async fn read(store: &SqlStore, cursor: &Cursor) -> Result<Changes, StoreError> {
    let now = store.now();
    let mut row = within(SESSION_STORE, sqlx::query(STATE).bind(now).fetch_one(&store.pool)).await?;
    let mut waiting = row.try_get::<i64, _>("waiting")? > 0;
    while waiting {
        (row, waiting) = within(SESSION_STORE, give_positions(store)).await?;
    }
    let (list, newest): (String, _) = (row.try_get("list")?, position(&row)?);
    let known = cursor.positions.first().filter(|position| cursor.list == list && **position <= newest);
    let (is_restarted, after) = (known.is_none(), known.copied().unwrap_or_default());
    let rows = page(store, after).await?;
    let more = rows.len() >= PAGE as usize;
    let (mut entries, mut corrupt) = (Vec::new(), Vec::new());
    for row in &rows {
        match position(row).and_then(|position| Ok((position, revocation(row)?))) {
            Ok(entry) => entries.push(entry),
            Err(error) => corrupt.push(format!("{}: {error}", name(row))),
        }
    }
    if more && let Some(&(last, _)) = entries.last() {
        // The next page may contain the rest of the last position.
        entries.retain(|(position, _)| *position < last);
    }
    let end = if more { Position::default() } else { newest };
    Ok(Changes { list, now, shards: vec![ShardChanges { is_restarted, entries, end }], more, corrupt })
}

/// Assigns positions to entries without one, for a while; returns true if there may be more. Entries written after an
/// incomplete batch may wait for the next read: otherwise a fast writer could keep this one from finishing.
async fn give_positions(store: &SqlStore) -> Result<(AnyRow, bool), StoreError> {
    let began = Instant::now();
    let mut turn = store.pool.begin_write().await?;
    loop {
        let now = store.now();
        let row = sqlx::query(TAKE_TURN).bind(now).fetch_optional(&mut *turn).await?;
        let row = row.ok_or_else(|| StoreError::corrupt(SESSION_STORE, "revocations has no row"))?;
        let position: i64 = row.try_get("position")?;
        let mut full = false;
        for place in PLACE {
            let placed = sqlx::query(place).bind(position).bind(TURN).bind(now).execute(&mut *turn).await?;
            full |= placed.rows_affected() >= TURN.unsigned_abs();
        }
        if !full || began.elapsed() > LONGEST {
            turn.commit().await?;
            return Ok((row, full));
        }
    }
}

async fn page(store: &SqlStore, after: Position) -> Result<Vec<AnyRow>, StoreError> {
    let after = i64::try_from(after.at).unwrap_or(i64::MAX);
    let select = sqlx::query(READ).bind(after).bind(i64::from(PAGE));
    within(SESSION_STORE, select.fetch_all(&store.pool)).await
}

/// The session or the user of an entry, as far as it is readable.
fn name(row: &AnyRow) -> String {
    let [sid, sub] = ["sid", "sub"].map(|column| row.try_get::<String, _>(column).unwrap_or_default());
    format!("the end of session {sid:?} of user {sub:?}")
}

fn position(row: &AnyRow) -> Result<Position, StoreError> {
    let at: i64 = row.try_get("position")?;
    Ok(Position { at: at.unsigned_abs(), number: 0 })
}

fn revocation(row: &AnyRow) -> Result<Revocation, StoreError> {
    let (sid, sub): (String, String) = (row.try_get("sid")?, row.try_get("sub")?);
    let until = whole_seconds(row.try_get("tokens_end_at")?);
    if sub.is_empty() {
        return Ok(Revocation::Session { sid, until });
    }
    Ok(Revocation::Subject { sub, not_before: whole_seconds(row.try_get("not_before")?), until })
}
