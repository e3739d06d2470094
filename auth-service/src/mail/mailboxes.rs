use shared_service::database::{StoreError, within};

use super::outbox::Claimed;
use super::tickets::digest;
use super::{Kind, Outbox, STORE};

const HOUR: i64 = 3_600_000;

const PASS: &str = "
INSERT INTO mailboxes (mailbox, first_at, second_at, third_at) VALUES ($1, 0, 0, $2)
ON CONFLICT (mailbox) DO UPDATE SET
    first_at = mailboxes.second_at, second_at = mailboxes.third_at, third_at = $2
WHERE mailboxes.first_at <= $3";
/// Removes the mail counted at `$2`.
const RELEASE: &str = "
UPDATE mailboxes SET third_at = CASE WHEN third_at = $2 THEN second_at ELSE third_at END,
    second_at = CASE WHEN $2 IN (second_at, third_at) THEN first_at ELSE second_at END, first_at = 0
WHERE mailbox = $1 AND $2 IN (first_at, second_at, third_at)";
/// Moves a mail to the end of the limit of its mailbox; the claim is no try. Only the mails of the three accounts with
/// the lowest ids wait, so that strangers with new accounts can neither fill the outbox nor displace a user's mail.
const POSTPONE: &str = "
UPDATE outbox SET attempts = attempts - 1,
    next_at = 3600000 + (SELECT first_at FROM mailboxes WHERE mailbox = $2)
WHERE id = $1 AND (SELECT first_at FROM mailboxes WHERE mailbox = $2) > $3
  AND 3 > (SELECT count(*) FROM outbox AS other WHERE other.kind = outbox.kind AND other.email = outbox.email
    AND other.user_id < outbox.user_id)";
const SWEEP: &str = "DELETE FROM mailboxes WHERE third_at <= $1";

impl Claimed {
    /// The digests under which this mail is counted: that of its mailbox first.
    pub(super) fn counts(&self) -> Vec<String> {
        let kind = self.kind.into_str();
        let of_user = (self.kind == Kind::Verify).then(|| format!("{kind} by\n{}", self.user_id));
        [format!("{kind}\n{}", self.email.as_str())].into_iter().chain(of_user).map(|text| digest(&text)).collect()
    }
}

impl Outbox {
    /// Counts `mail`; false if its mailbox got three mails of its kind in the last hour, which is the limit. Mails that
    /// verify an address have the same limit for each user, so that an account cannot send to any number of mailboxes.
    pub(super) async fn count(&self, mail: &Claimed, now_ms: i64) -> Result<bool, StoreError> {
        within(STORE, sqlx::query(SWEEP).bind(now_ms - HOUR).execute(&self.pool)).await?;
        let counts = mail.counts();
        for (place, counted) in counts.iter().enumerate() {
            let pass = sqlx::query(PASS).bind(counted).bind(now_ms).bind(now_ms - HOUR);
            if within(STORE, pass.execute(&self.pool)).await?.rows_affected() != 1 {
                self.release(&counts[..place], now_ms).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Undoes the `counts` of a mail that was not sent. `counted_at` is their time.
    pub(super) async fn release(&self, counts: &[String], counted_at: i64) -> Result<(), StoreError> {
        for counted in counts {
            let release = sqlx::query(RELEASE).bind(counted).bind(counted_at);
            within(STORE, release.execute(&self.pool)).await?;
        }
        Ok(())
    }

    /// Lets `mail` wait for the end of the limit of its mailbox. False if the mailbox is not at its limit, or if mails of
    /// three other accounts wait that come first.
    pub(super) async fn postpone(&self, mail: &Claimed, now_ms: i64) -> Result<bool, StoreError> {
        let postpone = sqlx::query(POSTPONE).bind(&mail.id).bind(&mail.counts()[0]).bind(now_ms - HOUR);
        Ok(within(STORE, postpone.execute(&self.pool)).await?.rows_affected() == 1)
    }
}
