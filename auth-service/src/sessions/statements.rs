//! What [`super::SqlSessions`] says to its database: one text for `SQLite` and Postgres.

pub(super) const OPEN: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address)
VALUES ($1, $2, $3, 0, $4, $4, $5, $6, 0, $7, $8)";

/// $3 what is presented, $4 now, $5 when the session ends if it is not used from now on, $6 the grace, $7 the first
/// generation. Right of an equals sign stands the row as it was, after `RETURNING` as it is now.
pub(super) const ADVANCE: &str = "
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
        WHEN generation - 1 = $3 AND $3 >= $7 AND $6 > 0 AND $4 - advanced_at <= $6 THEN 0
        ELSE $4 END
WHERE id = $1 AND user_id = $2 AND ended_at = 0 AND idle_ends_at > $4
RETURNING id, user_id, generation, opened_at, advanced_at, idle_ends_at, ends_at, user_agent, address, repeats, ended_at";

/// An expired session is ended too: a caller whose clock is a little behind may still see it alive.
pub(super) const END: &str = "
UPDATE sessions SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at = 0
RETURNING idle_ends_at";

pub(super) const END_ALL: &str = "
UPDATE sessions SET ended_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at = 0
RETURNING idle_ends_at";

pub(super) const LIST: &str = "
SELECT id, user_id, generation, opened_at, advanced_at, idle_ends_at, ends_at, user_agent, address
FROM sessions WHERE user_id = $1 AND ended_at = 0 AND idle_ends_at > $2";

/// $1 now, $2 the newest end that is old enough. The condition stands twice because a row that was over when it was
/// picked may have been advanced, by an instance whose clock is a little behind, when its turn comes.
pub(super) const SWEEP: &str = "
DELETE FROM sessions
WHERE ((ended_at = 0 AND idle_ends_at <= $1) OR (ended_at > 0 AND ended_at <= $2))
AND id IN (
    SELECT id FROM sessions
    WHERE (ended_at = 0 AND idle_ends_at <= $1) OR (ended_at > 0 AND ended_at <= $2)
    LIMIT $3)";
