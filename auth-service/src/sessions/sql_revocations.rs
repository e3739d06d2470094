//! The list of revocations in SQL: one shard. Ended sessions and cut-offs are its entries, and get their positions from the
//! next one who reads.
//!
//! Were positions given by who writes, they would have to be given in the order of the commits, or a reader could pass one
//! by: then nobody could end a session while somebody else does. So who reads takes a turn, gives a new position to all
//! that has none, and everything of one turn has the same.

use shared_claims::Revocation;
use shared_http::database::{StoreError, within};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use uuid::Uuid;

use super::revocations::whole_seconds;
use super::{Cursor, News, Position, STORE, ShardNews, SqlSessions};

/// Stands for the sessions that go on, where all do.
pub(super) const EVERY_SESSION: &str = "*";

/// How many sessions, and how many cut-offs, get a position in one turn.
const TURN: i64 = 2_000;
/// How many entries are read at once; more than twice a turn, which is the most that can have one position.
const PAGE: u32 = 8_000;

const NAME: &str = "INSERT INTO revocations (id, list, position) VALUES (1, $1, 0) ON CONFLICT (id) DO NOTHING";

/// $2 the session that goes on, or every one; $3 now; $4 how long a cut-off is listed. It never goes back, and where it does
/// not go on, nobody is told again.
const CUT_OFF: &str = "
INSERT INTO cutoffs (user_id, not_before, tokens_end_at, position, waiting)
SELECT $1, (newest / 1000 + 1) * 1000, CASE
    WHEN last > (newest / 1000 + 1) * 1000 + $4 THEN last ELSE (newest / 1000 + 1) * 1000 + $4 END, 0, 1
FROM (
    SELECT MAX(tokens_end_at) AS last, COALESCE(MAX(CASE
        WHEN ended_at = 0 AND issued_at > $3 AND (id = $2 OR $2 = '*') THEN issued_at
        ELSE $3 END), $3) AS newest
    FROM sessions WHERE user_id = $1) AS tokens
WHERE TRUE
ON CONFLICT (user_id) DO UPDATE SET
    not_before = excluded.not_before, waiting = 1, tokens_end_at = CASE
        WHEN excluded.tokens_end_at > cutoffs.tokens_end_at THEN excluded.tokens_end_at
        ELSE cutoffs.tokens_end_at END
WHERE excluded.not_before > cutoffs.not_before";

/// $1 now.
const STATE: &str = "
SELECT list, position, CASE
    WHEN EXISTS (SELECT 1 FROM sessions WHERE ended_at > 0 AND tokens_end_at > 0 AND position = 0 AND tokens_end_at > $1) THEN 1
    WHEN EXISTS (SELECT 1 FROM cutoffs WHERE waiting = 1) THEN 1
    ELSE 0 END AS waiting
FROM revocations";

/// $1 now: positions follow the clock, so that a database that was set back to an older state gives none twice.
const TAKE_TURN: &str = "
UPDATE revocations SET position = CASE WHEN position < $1 THEN $1 ELSE position + 1 END RETURNING list, position";

/// $1 the position, $2 how many, $3 now. In the order in which `end_all` takes the same rows.
const PLACE: [&str; 2] = [
    "
UPDATE cutoffs SET position = $1, waiting = 0
WHERE waiting = 1 AND $3 > 0 AND user_id IN (SELECT user_id FROM cutoffs WHERE waiting = 1 LIMIT $2)",
    "
UPDATE sessions SET position = $1
WHERE id IN (
    SELECT id FROM sessions
    WHERE ended_at > 0 AND tokens_end_at > 0 AND position = 0 AND tokens_end_at > $3 LIMIT $2)",
];

/// $1 behind which position, $2 how many. What is over is read as well, until it is swept: a clock that is ahead for a while would
/// otherwise pass by what is not.
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

const SWEEP: &str = "
DELETE FROM cutoffs
WHERE tokens_end_at <= $1 AND user_id IN (SELECT user_id FROM cutoffs WHERE tokens_end_at <= $1 LIMIT $2)";

impl SqlSessions {
    /// Gives the list its name, if it has none.
    pub(super) async fn name_list(&self) -> Result<(), StoreError> {
        let name = Uuid::new_v4().simple().to_string();
        within(STORE, sqlx::query(NAME).bind(name).execute(&self.pool)).await.map(drop)
    }

    /// Cuts off all tokens of `user_id`, where the session `goes_on`.
    pub(super) async fn cut_off_in(
        &self,
        step: &mut Transaction<'_, Any>,
        user_id: &str,
        goes_on: &str,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let insert = sqlx::query(CUT_OFF).bind(user_id).bind(goes_on).bind(now).bind(self.keep_ms());
        insert.execute(&mut **step).await.map(drop)
    }

    /// What came behind `cursor`, all of it where that is not of this list.
    pub(super) async fn news(&self, cursor: &Cursor) -> Result<News, StoreError> {
        let now = self.clock.now();
        let mut row = within(STORE, sqlx::query(STATE).bind(now).fetch_one(&self.pool)).await?;
        let mut waiting = row.try_get::<i64, _>("waiting")? > 0;
        while waiting {
            (row, waiting) = within(STORE, self.give_positions()).await?;
        }
        let (list, newest): (String, _) = (row.try_get("list")?, position(&row)?);
        let known = cursor.positions.first().filter(|position| cursor.list == list && **position <= newest);
        let (anew, after) = (known.is_none(), known.copied().unwrap_or_default());
        let mut entries = self.read(after).await?;
        let more = entries.len() >= PAGE as usize;
        if more && let Some(&(last, _)) = entries.last() {
            // The rest of the last turn may be on the next page.
            entries.retain(|(position, _)| *position < last);
        }
        let end = if more { Position::default() } else { newest };
        Ok(News { list, now, shards: vec![ShardNews { anew, entries, end }], more })
    }

    /// Gives a position to what has none, and says whether there may be more. What is written after a turn that was not full
    /// may wait for the next reading: otherwise whoever writes fast enough would keep this one from ever coming to an end.
    async fn give_positions(&self) -> Result<(AnyRow, bool), StoreError> {
        let mut turn = self.pool.begin().await?;
        let now = self.clock.now();
        let mut rows = sqlx::query(TAKE_TURN).bind(now).fetch_all(&mut *turn).await?;
        let row = rows.pop().ok_or_else(|| StoreError::corrupt(STORE, "revocations has no row"))?;
        let position: i64 = row.try_get("position")?;
        let mut full = false;
        for place in PLACE {
            let placed = sqlx::query(place).bind(position).bind(TURN).bind(now).execute(&mut *turn).await?;
            full |= placed.rows_affected() >= TURN.unsigned_abs();
        }
        turn.commit().await?;
        Ok((row, full))
    }

    async fn read(&self, after: Position) -> Result<Vec<(Position, Revocation)>, StoreError> {
        let after = i64::try_from(after.at).unwrap_or(i64::MAX);
        let select = sqlx::query(READ).bind(after).bind(i64::from(PAGE));
        let rows = within(STORE, select.fetch_all(&self.pool)).await?;
        rows.iter().map(|row| Ok((position(row)?, revocation(row)?))).collect()
    }

    /// Removes cut-offs that are over.
    pub(super) async fn sweep_cutoffs(&self, batch: u32) -> Result<u64, StoreError> {
        let sweep = sqlx::query(SWEEP).bind(self.clock.now()).bind(i64::from(batch));
        Ok(within(STORE, sweep.execute(&self.pool)).await?.rows_affected())
    }
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
