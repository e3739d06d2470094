use std::sync::Arc;

use shared_service::Metrics;
use shared_service::clock::now_ms;
use shared_service::database::{Connection, Database, StoreError, within};

use super::tickets::{self, Purpose, ValidTicket};
use super::{Kind, Mail, MailSettings, Outbox, STORE, add_to, delete_claims, is_full, worker};
use crate::endings::complete_of;
use crate::passwords::PasswordHash;
use crate::sessions::SessionStore;
use crate::users::{Account, By, Email, UserChange, UserId, Users, account_in, mark_verified, verify_email};

/// Password reset and email verification, by mail or by a link that an admin makes.
pub struct Recovery {
    /// The store of users. If mail is on, its changes queue notices.
    pub(crate) users: Users,
    sessions: Arc<dyn SessionStore>,
    settings: MailSettings,
}

/// The result of asking for a link.
#[derive(Debug)]
pub enum Linked {
    /// A link that lets its holder set a password.
    Link {
        /// The URL, with the ticket in its fragment.
        url: String,
        /// Milliseconds since 1970.
        expires_at: i64,
    },
    /// There is no such user.
    NotFound,
    /// `PUBLIC_URL` is not set.
    NotConfigured,
}

/// The result of redeeming a ticket for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The address is the account's.
    Done,
    /// The ticket is used or expired, or its account has changed.
    Gone,
    /// Another account has verified the address before.
    Taken,
}

impl Recovery {
    /// Creates a recovery service on these stores. Mail is on if `settings` name a mail server.
    pub fn new(settings: MailSettings, pool: &Database, sessions: &Arc<dyn SessionStore>) -> Self {
        let outbox = settings.smtp.as_ref().map(|_| Arc::new(Outbox::new(pool.clone())));
        Self { users: Users { pool: pool.clone(), outbox }, sessions: Arc::clone(sessions), settings }
    }

    /// Starts the tasks that send mails, if mail is on. They end when the session store is dropped.
    pub fn start_sending(&self) {
        if let Some(outbox) = &self.users.outbox {
            worker::start(&self.settings, outbox, &self.users, &self.sessions);
        }
    }

    /// Adds the age of the outbox to `metrics`, where mail is on.
    pub fn shown(&self, metrics: Metrics) -> Metrics {
        let Some(outbox) = self.users.outbox.clone() else { return metrics };
        let age = ("mail_outbox_age_seconds", "Seconds that the oldest mail in the outbox has waited");
        metrics.gauge(age, move || {
            let outbox = Arc::clone(&outbox);
            async move {
                let age = outbox.age(now_ms()).await;
                age.inspect_err(|error| log::warn!("the age of the outbox is not known: {error}"))
                    .ok()
                    .map(|age| age.as_secs_f64())
            }
        })
    }

    /// True if `PUBLIC_URL` is set, so that there can be links.
    pub fn has_links(&self) -> bool {
        self.settings.public_url.is_some()
    }

    /// Queues a mail to `email` with a link that makes it the address of `account`, and a notice to the current
    /// address. A queued mail of an earlier request is deleted, and so are the tickets for other addresses. False if the
    /// account may no longer write; fails if the outbox is full.
    pub async fn claim(&self, account: &Account, email: &Email) -> Result<bool, StoreError> {
        let write = async |on: &mut Connection| {
            let user_id = account.user.id.as_str();
            delete_claims(on, user_id).await?;
            tickets::delete_other_claims(on, user_id, email).await?;
            let old = account.user.email.as_ref().filter(|old| *old != email);
            let notice = old.map(|old| Mail { kind: Kind::NewAddress, email: old, user_id });
            for mail in notice.into_iter().chain([Mail { kind: Kind::Verify, email, user_id }]) {
                if !add_to(&mut *on, mail).await? {
                    return Err(is_full());
                }
            }
            Ok(())
        };
        let queued = self.users.in_turn(STORE, By::Owner(account), |()| true, write).await?;
        self.users.wake();
        Ok(queued.is_some())
    }

    /// Looks up a valid `ticket`: its account, and the address that it proves. The ticket stays valid.
    pub async fn find(&self, purpose: Purpose, ticket: &str, now_ms: i64) -> Result<Option<ValidTicket>, StoreError> {
        within(STORE, async {
            let mut read = self.users.pool.begin().await?;
            let found = tickets::find(&mut read, purpose, tickets::digest(ticket), now_ms).await?;
            read.rollback().await?;
            Ok::<_, StoreError>(found)
        })
        .await
    }

    /// Redeems a ticket for another password and ends all sessions; false if the ticket is not valid any more. Sessions
    /// end before the change as well as after it: while they cannot be ended, password and ticket stay unchanged.
    pub async fn reset(&self, ticket: &str, hash: PasswordHash, now_ms: i64) -> Result<bool, StoreError> {
        // Hashing took a while. A ticket that was used meanwhile must end no session.
        let Some(proof) = self.find(Purpose::Reset, ticket, now_ms).await? else { return Ok(false) };
        let user_id = &proof.account.user.id;
        self.sessions.end_all(user_id, None).await?;
        let change = UserChange { hash: Some(hash), ..UserChange::default() };
        let write = async |on: &mut Connection| {
            let Some(taken) = tickets::take(on, &proof, now_ms).await? else { return Ok(false) };
            if taken.email.is_some() {
                mark_verified(on, user_id, now_ms).await?;
            }
            self.users.change_in(on, user_id, &change).await?;
            tickets::delete_of(on, user_id).await?;
            Ok(true)
        };
        if self.users.in_turn(STORE, By::NoAccount, |redeemed| *redeemed, write).await? != Some(true) {
            return Ok(false);
        }
        self.users.wake();
        // The ticket is used up: after a 503 the client would repeat the call and get 403.
        if let Err(error) = complete_of(&self.users, &*self.sessions, user_id).await {
            log::warn!(user = user_id.as_str(); "sessions opened beside a reset end later, in the background: {error}");
        }
        Ok(true)
    }

    /// Redeems a ticket for an address, which becomes the verified address of the account.
    pub async fn verify(&self, proof: &ValidTicket, now_ms: i64) -> Result<Verified, StoreError> {
        let write = async |on: &mut Connection| match tickets::take(on, proof, now_ms).await? {
            Some(ValidTicket { account, email: Some(email), .. }) => {
                let is_done = verify_email(on, &account.user.id, &email, now_ms).await?;
                Ok(if is_done { Verified::Done } else { Verified::Taken })
            }
            _ => Ok(Verified::Gone),
        };
        let is_done = |verified: &Verified| *verified == Verified::Done;
        Ok(self.users.in_turn(STORE, By::NoAccount, is_done, write).await?.unwrap_or(Verified::Gone))
    }

    /// Makes a link by which the user `id` can set a password; it ends with the sessions or the role of the admin `by`.
    /// `None` if that account may no longer write.
    pub async fn link(&self, by: By<'_>, id: &UserId, now_ms: i64) -> Result<Option<Linked>, StoreError> {
        let Some(public_url) = &self.settings.public_url else { return Ok(Some(Linked::NotConfigured)) };
        let made_by = if let By::Admin(admin) = by { Some(admin) } else { None };
        let write = async |on: &mut Connection| {
            let Some(account) = account_in(on, id).await? else { return Ok(Linked::NotFound) };
            let (ticket, expires_at) = tickets::issue(on, Purpose::Reset, &account, None, made_by, now_ms).await?;
            Ok(Linked::Link { url: public_url.link(Purpose::Reset, &ticket), expires_at })
        };
        self.users.in_turn(STORE, by, |linked| matches!(linked, Linked::Link { .. }), write).await
    }
}
