use shared_service::database::{Connection, StoreError, within};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{STORE, UserId, Users, rows};
use crate::mail::delete_made_by;

/// Work in the session store that a change of a user requires, written in the transaction of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// A `UUIDv7`.
    pub id: String,
    /// The user.
    pub user_id: UserId,
    /// The work to be done.
    pub ends: Ends,
}

/// The sessions or access tokens that an ending ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The access tokens issued so far.
    Tokens,
    /// All sessions except this one.
    Sessions {
        /// Its id.
        except: Option<String>,
    },
}

/// The maximum number of endings read at once.
const SOME: i64 = 1000;
const INSERT: &str = "INSERT INTO endings (id, user_id, tokens_only, goes_on) VALUES ($1, $2, $3, $4)";
const OLDEST: &str = "SELECT id, user_id, tokens_only, goes_on FROM endings ORDER BY id LIMIT $1";
const OF_USER: &str = "SELECT id, user_id, tokens_only, goes_on FROM endings WHERE user_id = $1 ORDER BY id";
const PENDING: &str = "SELECT id FROM endings WHERE id = $1";
const DELETE: &str = "DELETE FROM endings WHERE id = $1";

impl Users {
    /// Reads the oldest [`Ending`]s.
    pub(crate) async fn endings(&self) -> Result<Vec<Ending>, StoreError> {
        read(within(STORE, sqlx::query(OLDEST).bind(SOME).fetch_all(&self.pool)).await?)
    }

    /// Reads the [`Ending`]s of a user, who may be deleted.
    pub(crate) async fn endings_of(&self, user_id: &UserId) -> Result<Vec<Ending>, StoreError> {
        read(within(STORE, sqlx::query(OF_USER).bind(user_id.as_str()).fetch_all(&self.pool)).await?)
    }

    /// True unless the [`Ending`] was completed meanwhile.
    pub(crate) async fn is_pending(&self, id: &str) -> Result<bool, StoreError> {
        Ok(within(STORE, sqlx::query(PENDING).bind(id).fetch_optional(&self.pool)).await?.is_some())
    }

    /// Ends the links that this user made as an admin. A session that is ended may have been stolen.
    pub(crate) async fn withdraw_links(&self, user_id: &str) -> Result<(), StoreError> {
        within(STORE, delete_made_by(&self.pool, user_id)).await
    }

    /// Deletes a completed [`Ending`].
    pub(crate) async fn forget_ending(&self, id: &str) -> Result<(), StoreError> {
        within(STORE, sqlx::query(DELETE).bind(id).execute(&self.pool)).await.map(drop)
    }
}

/// Writes the ending of a change for the sessions of `user_id`, in the transaction of the change. The links that the
/// user made as an admin end at once.
pub(super) async fn add(on: &mut Connection, user_id: &UserId, ends: &Ends) -> Result<(), sqlx::Error> {
    delete_made_by(&mut *on, user_id).await?;
    let (tokens_only, goes_on) = match ends {
        Ends::Tokens => (1_i64, ""),
        Ends::Sessions { except } => (0, except.as_deref().unwrap_or_default()),
    };
    let insert =
        sqlx::query(INSERT).bind(Uuid::now_v7().to_string()).bind(user_id.as_str()).bind(tokens_only).bind(goes_on);
    insert.execute(on).await.map(drop)
}

fn read(rows: Vec<AnyRow>) -> Result<Vec<Ending>, StoreError> {
    let ending = |row: AnyRow| {
        let (tokens_only, goes_on): (i64, String) = (row.try_get("tokens_only")?, row.try_get("goes_on")?);
        let ends = match tokens_only {
            0 => Ends::Sessions { except: Some(goes_on).filter(|id| !id.is_empty()) },
            _ => Ends::Tokens,
        };
        Ok(Ending { id: row.try_get("id")?, user_id: rows::id(&row, "user_id")?, ends })
    };
    rows.into_iter().map(ending).collect()
}
