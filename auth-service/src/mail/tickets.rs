use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use shared_service::database::{Connection, StoreError};
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use strum::IntoStaticStr;

use super::STORE;
use crate::users::{Account, Email, account_in};

/// A ticket as a link contains it: 32 random bytes in base64url. Only its hash is stored.
pub(super) type Ticket = SecretString;

/// The action that a ticket permits, once. Its word is in the database and in the path of its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Purpose {
    /// To set another password.
    Reset,
    /// To verify an address.
    Verify,
}

/// A valid ticket that a client presented, and its account.
#[derive(Clone, Debug)]
pub struct ValidTicket {
    hash: String,
    purpose: Purpose,
    /// The account.
    pub account: Account,
    /// The address that the ticket was sent to.
    pub email: Option<Email>,
}

const MINUTE: i64 = 60_000;

const INSERT: &str = "INSERT INTO tickets (hash, purpose, user_id, email, binding, expires_at, made_by) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const FIND: &str = "SELECT user_id, email, binding FROM tickets WHERE hash = $1 AND purpose = $2 AND expires_at > $3";
/// Redeems a ticket: of several clients that present it concurrently, only one deletes the row.
const TAKE: &str = "DELETE FROM tickets WHERE hash = $1 AND purpose = $2 AND expires_at > $3 AND binding = $4";
const DELETE_OVER: &str = "DELETE FROM tickets WHERE expires_at <= $1";
const DELETE_OF_USER: &str = "DELETE FROM tickets WHERE user_id = $1";
const DELETE_MADE_BY: &str = "DELETE FROM tickets WHERE made_by = $1";
const DELETE_OTHER_CLAIMS: &str = "DELETE FROM tickets WHERE user_id = $1 AND purpose = 'verify' AND email <> $2";

impl Purpose {
    /// The lifetime in milliseconds.
    const fn life(self) -> i64 {
        match self {
            Self::Reset => 30 * MINUTE,
            Self::Verify => 24 * 60 * MINUTE,
        }
    }
}

/// Creates a ticket for `account`; returns it and its expiry in milliseconds since 1970. `email` is the address that it is
/// mailed to; `made_by` is the admin who makes a link with it.
pub(super) async fn issue(
    on: &mut Connection,
    purpose: Purpose,
    account: &Account,
    email: Option<&Email>,
    made_by: Option<&str>,
    now_ms: i64,
) -> Result<(Ticket, i64), StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::unavailable(STORE, error))?;
    let ticket = URL_SAFE_NO_PAD.encode(bytes);
    let (user_id, expires_at) = (account.user.id.as_str(), now_ms + purpose.life());
    sqlx::query(DELETE_OVER).bind(now_ms).execute(&mut *on).await?;
    let insert = sqlx::query(INSERT)
        .bind(digest(&ticket))
        .bind(purpose.into_str())
        .bind(user_id)
        .bind(email.map(Email::as_str))
        .bind(binding(account))
        .bind(expires_at)
        .bind(made_by);
    insert.execute(&mut *on).await?;
    Ok((ticket.into(), expires_at))
}

/// Finds the account of the ticket whose digest is `hash`. `None` if the ticket is unknown, used or expired; if the
/// account is deleted, disabled or has another password; or if a reset link was sent to an address that is not the
/// account's any more.
pub(super) async fn find(
    on: &mut Connection,
    purpose: Purpose,
    hash: String,
    now_ms: i64,
) -> Result<Option<ValidTicket>, StoreError> {
    let found = sqlx::query(FIND).bind(&hash).bind(purpose.into_str()).bind(now_ms).fetch_optional(&mut *on).await?;
    let Some((user_id, email, bound)) = found.as_ref().map(read).transpose()? else { return Ok(None) };
    let Some(account) = account_in(on, &user_id).await?.filter(|account| !account.user.disabled) else {
        return Ok(None);
    };
    let is_current = purpose == Purpose::Verify || email.is_none() || email == account.user.email;
    let is_bound = bound == binding(&account);
    Ok((is_current && is_bound).then_some(ValidTicket { hash, purpose, account, email }))
}

/// Deletes the ticket of `proof`; `None` if another client was first, or if the ticket is not valid any more.
pub(super) async fn take(
    on: &mut Connection,
    proof: &ValidTicket,
    now_ms: i64,
) -> Result<Option<ValidTicket>, StoreError> {
    let Some(now) = find(on, proof.purpose, proof.hash.clone(), now_ms).await? else { return Ok(None) };
    let take = sqlx::query(TAKE).bind(&now.hash).bind(now.purpose.into_str()).bind(now_ms).bind(binding(&now.account));
    let taken = take.execute(&mut *on).await?;
    Ok((taken.rows_affected() == 1).then_some(now))
}

/// Deletes all tickets of a user.
pub(super) async fn delete_of(on: &mut Connection, user_id: &str) -> Result<(), StoreError> {
    Ok(sqlx::query(DELETE_OF_USER).bind(user_id).execute(&mut *on).await.map(drop)?)
}

/// Deletes the tickets of all links that this admin made.
pub async fn delete_made_by<'c>(on: impl Executor<'c, Database = Any>, user_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query(DELETE_MADE_BY).bind(user_id).execute(on).await.map(drop)
}

/// Deletes the tickets by which a user verifies another address than `email`: a later request replaces an earlier one.
pub(super) async fn delete_other_claims(on: &mut Connection, user_id: &str, email: &Email) -> Result<(), StoreError> {
    let delete = sqlx::query(DELETE_OTHER_CLAIMS).bind(user_id).bind(email.as_str());
    Ok(delete.execute(on).await.map(drop)?)
}

fn read(row: &AnyRow) -> Result<(String, Option<Email>, String), sqlx::Error> {
    let email = row.try_get::<Option<String>, _>("email")?.map(Email::stored);
    Ok((row.try_get("user_id")?, email, row.try_get("binding")?))
}

fn binding(account: &Account) -> String {
    digest(account.hash.as_stored())
}

/// SHA-256 in base64url.
pub(super) fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}
