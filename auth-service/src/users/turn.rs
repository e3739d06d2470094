use shared_service::database::{Connection, StoreError, Transaction, within};

use super::{Account, BY_ID, STORE, Users, rows};

/// The account on whose behalf a write happens. The transaction of the write reads it again, because it may have lost
/// the right since the request began.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// The operator, or the holder of a ticket, whose right depends on no account.
    NoAccount,
    /// An admin with this id, who must be enabled.
    Admin(&'a str),
    /// The owner of this account, which must be enabled and have the same password.
    Owner(&'a Account),
}

const TAKE_TURN: &str = "UPDATE users_turn SET turn = turn + 1 WHERE id = 1";

const SESSIONS_IN: &str = "SELECT sessions_in FROM users_turn WHERE id = 1";
const KEEP_SESSIONS_IN: &str = "UPDATE users_turn SET sessions_in = $1 WHERE id = 1";

impl Users {
    /// The store in which the last start of the service kept sessions; "" before the first start.
    pub(crate) async fn sessions_in(&self) -> Result<String, StoreError> {
        within(STORE, sqlx::query_scalar(SESSIONS_IN).fetch_one(&self.pool)).await
    }

    /// Records that this start of the service keeps sessions in `store`. Writes only after a move, because another
    /// process may have locked the database.
    pub(crate) async fn keep_sessions_in(&self, store: &str) -> Result<(), StoreError> {
        let last = self.sessions_in().await?;
        if last == store {
            return Ok(());
        }
        if !last.is_empty() {
            log::warn!("sessions are in {store} now, and were in {last}: see \"Move the sessions\" in docs/runbook.md");
        }
        within(STORE, sqlx::query(KEEP_SESSIONS_IN).bind(store).execute(&self.pool)).await.map(drop)
    }

    /// Runs `write` in a transaction that excludes all others of its kind, so that its reads stay valid until it ends.
    /// Commits if `keep` is true for the result, and rolls back otherwise. `None` if the account `by` may no longer
    /// write. Errors name the store `store`.
    pub(crate) async fn in_turn<T>(
        &self,
        store: &'static str,
        by: By<'_>,
        keep: impl FnOnce(&T) -> bool,
        write: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        within(store, async {
            let mut turn = self.pool.begin_write().await?;
            let taken = sqlx::query(TAKE_TURN).execute(&mut *turn).await?;
            if taken.rows_affected() != 1 {
                return Err(StoreError::corrupt(STORE, "users_turn has no row"));
            }
            if !by.may_write(&mut turn).await? {
                turn.rollback().await?;
                return Ok(None);
            }
            let done = write(&mut turn).await?;
            end(turn, keep(&done)).await?;
            Ok(Some(done))
        })
        .await
    }
}

impl By<'_> {
    async fn may_write(self, on: &mut Connection) -> Result<bool, StoreError> {
        Ok(match self {
            Self::NoAccount => true,
            Self::Admin(id) => account_in(on, id).await?.is_some_and(|now| now.user.is_enabled_admin()),
            Self::Owner(account) => {
                account_in(on, &account.user.id).await?.is_some_and(|now| account.still_counts(&now))
            }
        })
    }
}

/// Reads the account of this id in the caller's transaction.
pub(crate) async fn account_in(on: &mut Connection, id: &str) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query(BY_ID).bind(id).fetch_optional(on).await?;
    row.as_ref().map(rows::account).transpose()
}

/// Commits `transaction`, or rolls back.
pub(super) async fn end(transaction: Transaction, keep: bool) -> Result<(), sqlx::Error> {
    if keep { transaction.commit().await } else { transaction.rollback().await }
}
