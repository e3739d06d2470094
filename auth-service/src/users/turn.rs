use shared_service::database::{Connection, StoreError, Transaction};

use super::{Account, BY_ID, STORE, Users, rows};

/// The account on whose behalf a write happens. The transaction of the write reads it again, because it may have lost
/// the right since the request began.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// An admin with this id, who must be enabled.
    Admin(&'a str),
    /// The owner of this account, which must be enabled and have the same password.
    Owner(&'a Account),
}

/// A transaction that excludes all others of its kind, so that its reads stay valid until it ends.
pub(crate) type Turn = Transaction;

const TAKE_TURN: &str = "UPDATE users_turn SET turn = turn + 1 WHERE id = 1";

impl Users {
    /// Begins a write transaction when it is its turn; `None` if the account `by` may no longer write.
    pub(crate) async fn take_turn(&self, by: Option<By<'_>>) -> Result<Option<Turn>, StoreError> {
        let mut turn = self.pool.begin_write().await?;
        let taken = sqlx::query(TAKE_TURN).execute(&mut *turn).await?;
        if taken.rows_affected() != 1 {
            return Err(StoreError::corrupt(STORE, "users_turn has no row"));
        }
        if let Some(by) = by
            && !by.may_write(&mut turn).await?
        {
            turn.rollback().await?;
            return Ok(None);
        }
        Ok(Some(turn))
    }
}

impl By<'_> {
    async fn may_write(self, turn: &mut Turn) -> Result<bool, StoreError> {
        let id = match self {
            Self::Admin(id) => id,
            Self::Owner(account) => account.user.id.as_str(),
        };
        let Some(now) = account_in(turn, id).await? else { return Ok(false) };
        Ok(match self {
            Self::Admin(_) => now.user.is_enabled_admin(),
            Self::Owner(account) => account.still_counts(&now),
        })
    }
}

/// Reads the account of this id in the caller's transaction.
pub(crate) async fn account_in(on: &mut Connection, id: &str) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query(BY_ID).bind(id).fetch_optional(on).await?;
    row.as_ref().map(rows::account).transpose()
}

/// Commits the writes of `turn`, or rolls back.
pub(crate) async fn end_turn(turn: Turn, keep: bool) -> Result<(), sqlx::Error> {
    if keep { turn.commit().await } else { turn.rollback().await }
}
