use shared_claims::Role;
use shared_service::database::{StoreError, within};
use sqlx::{Any, Executor};

use super::rows::{columns, is_taken};
use super::turn::{By, end};
use super::{Email, STORE, User, UserId, Username, Users};
use crate::mail::{Kind, Mail, add_to, is_full};
use crate::passwords::PasswordHash;

/// A user to create.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The user name.
    pub username: Username,
    /// The email, if there is one.
    pub email: Option<Email>,
    /// The hashed password.
    pub hash: PasswordHash,
    /// The role.
    pub role: Role,
}

/// The result of creating a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The new user.
    User(User),
    /// Another account has this user name.
    UsernameTaken,
    /// Another account has this email.
    EmailTaken,
}

const INSERT: &str = concat!("INSERT INTO users (", columns!(), ") VALUES ($1, $2, $3, NULL, $4, $5, 0, $6)");

impl Users {
    /// Creates a user. The database's unique constraints decide between concurrent calls.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn create(&self, new: NewUser, now_ms: i64) -> Result<Created, StoreError> {
        within(STORE, insert(&self.pool, UserId::new(), new, now_ms)).await
    }

    /// Creates a user who registers. With mail on, the address becomes the user's once it is verified, so that the
    /// response does not reveal whether it is taken. Without mail, it is the user's at once.
    pub(crate) async fn register(&self, mut new: NewUser, now_ms: i64) -> Result<Created, StoreError> {
        let email = new.email.take_if(|_| self.outbox.is_some());
        let Some(email) = email else { return self.create(new, now_ms).await };
        let created = within(STORE, async {
            let mut step = self.pool.begin_write().await?;
            let created = insert(&mut *step, UserId::new(), new, now_ms).await?;
            if let Created::User(user) = &created
                && !add_to(&mut *step, Mail { kind: Kind::Verify, email: &email, user_id: &user.id }).await?
            {
                return Err(is_full());
            }
            end(step, matches!(created, Created::User(_))).await?;
            Ok::<_, StoreError>(created)
        });
        let created = created.await?;
        self.wake();
        Ok(created)
    }

    /// Creates a user on behalf of an account, as [`Users::change_by`].
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn create_by(&self, by: By<'_>, new: NewUser, now_ms: i64) -> Result<Option<Created>, StoreError> {
        let is_new = |created: &Created| matches!(created, Created::User(_));
        self.in_turn(STORE, by, is_new, async |on| insert(on, UserId::new(), new, now_ms).await).await
    }
}

pub(super) async fn insert<'c>(
    on: impl Executor<'c, Database = Any>,
    id: UserId,
    new: NewUser,
    now_ms: i64,
) -> Result<Created, StoreError> {
    let insert = sqlx::query(INSERT)
        .bind(id.as_str())
        .bind(new.username.as_str())
        .bind(new.email.as_ref().map(Email::as_str))
        .bind(new.hash.as_stored())
        .bind(new.role.as_str())
        .bind(now_ms);
    let inserted = insert.execute(on).await;
    let NewUser { username, email, role, .. } = new;
    match inserted {
        Ok(_) => Ok(Created::User(User {
            id,
            username,
            email,
            email_verified_at: None,
            role,
            disabled: false,
            created_at: now_ms,
        })),
        // The id of a demo user is taken where another instance has just added that user.
        Err(error) if is_taken(&error, "username") || is_taken(&error, "id") => Ok(Created::UsernameTaken),
        Err(error) if is_taken(&error, "email") => Ok(Created::EmailTaken),
        Err(error) => Err(error.into()),
    }
}
