//! What [`super::SqlSessions`] says to its database about sessions: one text for `SQLite` and Postgres.

/// $4 now, $9 how long behind its date a token is listed. A token of the new session is dated no earlier than its user's cut-off.
pub(super) const OPEN: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at)
SELECT $1, $2, $3, 0, $4, $4, $5, $6, 0, $7, $8, date, date + $9
FROM (
    SELECT MAX(date) AS date
    FROM (SELECT $4 AS date UNION ALL SELECT not_before FROM cutoffs WHERE user_id = $2) AS dates) AS newest
RETURNING issued_at";

/// $3 what is presented, $4 now, $5 when the session ends if it is not used from now on, $6 the grace, $7 the first
/// generation, $8 how long behind its date a token is listed, $9 how far the clocks of two instances may differ. Right of an
/// equals sign stands the row as it was, after `RETURNING` as it is now. What a replay does to the last two columns is nothing:
/// its end is listed for the tokens there were.
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
        ELSE $4 END,
    issued_at = (
        SELECT MAX(date) FROM (
            SELECT $4 AS date
            UNION ALL SELECT not_before FROM cutoffs WHERE cutoffs.user_id = $2
            UNION ALL SELECT CASE WHEN issued_at <= $4 + $9 THEN issued_at ELSE 0 END) AS dates),
    tokens_end_at = (
        SELECT MAX(date) FROM (
            SELECT $4 + $8 AS date
            UNION ALL SELECT not_before + $8 FROM cutoffs WHERE cutoffs.user_id = $2
            UNION ALL SELECT tokens_end_at) AS dates)
WHERE id = $1 AND user_id = $2 AND ended_at = 0 AND idle_ends_at > $4
RETURNING id, user_id, generation, opened_at, advanced_at, idle_ends_at, ends_at, user_agent, address, issued_at,
    repeats, ended_at";

/// $3 now, $4 how long behind its date a token is listed. An expired session is ended too: a caller whose clock is a little
/// behind may still see it alive. Of a session that an older version opened nobody knows how long its tokens live.
pub(super) const END: &str = "
UPDATE sessions SET
    ended_at = $3,
    tokens_end_at = CASE WHEN tokens_end_at = 0 THEN $3 + $4 ELSE tokens_end_at END
WHERE id = $1 AND user_id = $2 AND ended_at = 0
RETURNING idle_ends_at";

/// $3 now, $4 until when its tokens may live. A record of nothing but the end.
pub(super) const END_FORGOTTEN: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at)
VALUES ($1, $2, 1, 0, $3, $3, $3, $3, $3, '', '', $3, $4)
ON CONFLICT (id) DO NOTHING";

/// $3 now, $4 how long behind its date a token is listed. Nobody has to be told of a session whose tokens the cut-off of its
/// user has cut off already: the newest, and any that was dated by a clock that was ahead.
pub(super) const END_ALL: &str = "
UPDATE sessions SET
    ended_at = $3,
    tokens_end_at = CASE
        WHEN (SELECT not_before FROM cutoffs WHERE cutoffs.user_id = $1 AND not_before > issued_at
            AND not_before > sessions.tokens_end_at - $4) > 0 THEN 0
        ELSE tokens_end_at END
WHERE user_id = $1 AND id <> $2 AND ended_at = 0
RETURNING idle_ends_at";

pub(super) const LIST: &str = "
SELECT id, user_id, generation, opened_at, advanced_at, idle_ends_at, ends_at, user_agent, address, issued_at
FROM sessions WHERE user_id = $1 AND ended_at = 0 AND idle_ends_at > $2";

/// $1 now. The condition stands twice because a row that was over when it was picked may have been advanced, by an instance
/// whose clock is a little behind, when its turn comes.
pub(super) const SWEEP: &str = "
DELETE FROM sessions
WHERE ((ended_at = 0 AND idle_ends_at <= $1) OR (ended_at > 0 AND tokens_end_at <= $1))
AND id IN (
    SELECT id FROM sessions
    WHERE (ended_at = 0 AND idle_ends_at <= $1) OR (ended_at > 0 AND tokens_end_at <= $1)
    LIMIT $2)";
