use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use shared_service::clock::now_ms;
use shared_service::database::{StoreError, within};
use tokio::time::{sleep, timeout};

use super::messages::{self, Letter};
use super::outbox::{Claimed, TRIES, hold};
use super::tickets::{self, Purpose};
use super::{Kind, MailSettings, Outbox, PublicUrl, STORE, Smtp};
use crate::counts::{MAILS, MailResult, count};
use crate::sessions::SessionStore;
use crate::users::{Account, Users};

/// The number of mails sent at once, so that one slow delivery does not delay the others.
const SENDERS: usize = 4;
/// The interval at which a task looks for mails queued by other instances, and for mails due for another try.
const POLL: Duration = Duration::from_secs(5);

/// The dependencies of a sending task.
struct Worker {
    users: Users,
    outbox: Arc<Outbox>,
    smtp: Smtp,
    from: Mailbox,
    public_url: PublicUrl,
}

/// Starts tasks that send the mails in the outbox. They end when `sessions` is dropped.
pub(super) fn start(settings: &MailSettings, outbox: &Arc<Outbox>, users: &Users, sessions: &Arc<dyn SessionStore>) {
    let MailSettings { smtp: Some(smtp), from: Some(from), public_url: Some(public_url) } = settings.clone() else {
        return;
    };
    let worker = Arc::new(Worker { users: users.clone(), outbox: Arc::clone(outbox), smtp, from, public_url });
    for _ in 0..SENDERS {
        let (worker, sessions) = (Arc::clone(&worker), Arc::downgrade(sessions));
        // Not an actix task, which would end with its runtime: a connection in use would not survive that.
        tokio::spawn(async move {
            while sessions.strong_count() > 0 {
                match worker.outbox.claim(now_ms()).await {
                    Ok(Some(mail)) => worker.handle(mail).await,
                    Ok(None) => drop(timeout(POLL, worker.outbox.woken()).await),
                    Err(error) => {
                        log::warn!("the outbox cannot be read: {error}");
                        sleep(POLL).await;
                    }
                }
            }
        });
    }
}

impl Worker {
    async fn handle(&self, mail: Claimed) {
        // There may be more mails: another task looks for them while this one sends.
        self.outbox.wake();
        let result = match self.deliver(&mail).await {
            Ok(result) => result,
            Err(error) => {
                log::warn!("a mail was not prepared, the next try is later: {error}");
                MailResult::Retried
            }
        };
        count(MAILS, result);
        if result != MailResult::Retried
            && let Err(error) = self.outbox.delete(&mail.id).await
        {
            log::warn!("a mail stays in the outbox, and may be sent again: {error}");
        }
    }

    async fn deliver(&self, mail: &Claimed) -> Result<MailResult, StoreError> {
        let Some(account) = self.subject(mail).await? else { return Ok(MailResult::Dropped) };
        if mail.attempts > TRIES {
            return Ok(given_up(mail.kind.into_str(), &account.user.id, "the last try did not end"));
        }
        let first = mail.attempts == 1;
        if first && !self.outbox.pass(mail, now_ms()).await? {
            return Ok(MailResult::Limited);
        }
        let Some(letter) = self.letter(mail, &account).await? else { return Ok(MailResult::Dropped) };
        let (kind, user) = (mail.kind.into_str(), account.user.id.as_str());
        let sent = self.smtp.send(self.public_url.host(), &self.from, &mail.email, letter).await;
        match sent {
            Ok(()) => {
                log::info!(target: "audit", event = "mail.sent", kind = kind, user = user; "mail sent");
                Ok(MailResult::Sent)
            }
            Err(error) if mail.attempts < TRIES && !error.is_final() => {
                log::warn!(kind = kind, user = user; "a mail was not sent, the next try is later: {error}");
                Ok(MailResult::Retried)
            }
            Err(error) => Ok(given_up(kind, user, &error.to_string())),
        }
    }

    /// The enabled account that `mail` is about.
    async fn subject(&self, mail: &Claimed) -> Result<Option<Account>, StoreError> {
        let account = match mail.kind {
            Kind::Reset => self.users.account_by_login(mail.email.as_str()).await?,
            _ => self.users.account(&mail.user_id).await?,
        };
        Ok(account.filter(|account| !account.user.disabled))
    }

    /// The text of `mail`; `None` if it must not be sent any more.
    async fn letter(&self, mail: &Claimed, account: &Account) -> Result<Option<Letter>, StoreError> {
        let name = &account.user.username;
        match mail.kind {
            Kind::Reset => {
                let link = self.link(Purpose::Reset, mail, account).await?;
                Ok(link.map(|link| messages::reset(name, &link)))
            }
            Kind::Verify => {
                let owner = self.users.account_by_login(mail.email.as_str()).await?.map(|owner| owner.user);
                let owner = owner.filter(|owner| owner.id != account.user.id && owner.email_verified_at.is_some());
                if let Some(owner) = owner {
                    return Ok(Some(messages::taken(&owner.username)));
                }
                let link = self.link(Purpose::Verify, mail, account).await?;
                Ok(link.map(|link| messages::verify(name, &link)))
            }
            notice => Ok(Some(messages::notice(notice, name))),
        }
    }

    /// Issues a ticket and returns the link with it. `None` if the mail was deleted after `account` was read: a new
    /// password, or a request for another address, deletes it.
    async fn link(&self, purpose: Purpose, mail: &Claimed, account: &Account) -> Result<Option<String>, StoreError> {
        let issued = within(STORE, async {
            let mut step = self.outbox.pool.begin_write().await?;
            if !hold(&mut step, &mail.id).await? {
                step.rollback().await?;
                return Ok(None);
            }
            let issued = tickets::issue(&mut step, purpose, account, Some(&mail.email), None, now_ms()).await?;
            step.commit().await?;
            Ok::<_, StoreError>(Some(issued))
        });
        Ok(issued.await?.map(|(ticket, _)| self.public_url.link(purpose, &ticket)))
    }
}

fn given_up(kind: &str, user: &str, reason: &str) -> MailResult {
    log::error!(target: "audit", event = "mail.failed", kind = kind, user = user, reason = reason; "mail given up");
    MailResult::Failed
}
