/// Where auth-service is.
mod address;
/// What is followed.
mod resource;
/// One question, one answer.
mod source;
/// When to ask, and what an answer changes.
mod task;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::resource::{KeyResource, ListResource, Resource};
use self::source::Source;
use self::task::PollTask;
use crate::{PublicKeys, Revocations};

/// A `poll` of nothing would be a loop without a pause.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// Which auth-service's revocations or public keys to follow, and how.
///
/// ```no_run
/// # async fn f(auth: shared_claims::BearerAuth) -> Result<(), shared_claims::PollError> {
/// use std::time::Duration;
///
/// use shared_claims::Poller;
///
/// let revocations = Poller::new("http://auth:3000").start().await?;
/// let auth = auth.with_revocations(revocations);
///
/// // Whoever would rather let nobody in than somebody who may have signed out half a minute ago:
/// let strict = Poller { max_age: Some(Duration::from_secs(30)), ..Poller::new("http://auth:3000") };
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Poller {
    /// Where auth-service is, such as `https://auth.example.com` or `http://auth:3000`.
    pub url: String,
    /// How often to ask; less by up to 15 %, so that services that started together do not ask together.
    pub poll: Duration,
    /// The age from which a list clears nobody any more: see [`Revocations::new`]. Some multiple of `poll`.
    pub max_age: Option<Duration>,
    /// How long [`Poller::start`] waits for the first list.
    pub start_timeout: Duration,
}

/// Why nothing is followed.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// It is no http or https URL, or more than that.
    #[error("the address of auth-service must look like https://auth.example.com or http://auth:3000")]
    Address,
    /// No server could prove who it is.
    #[error("there are no certificates of authorities to trust; SSL_CERT_FILE can name a file of them")]
    Roots(#[source] io::Error),
}

impl Poller {
    /// Every second; without a greatest age; 5 s for the first list.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), poll: Duration::from_secs(1), max_age: None, start_timeout: Duration::from_secs(5) }
    }

    /// Whether there can be somebody to follow at the address.
    ///
    /// # Errors
    /// It is none.
    pub fn check(&self) -> Result<(), PollError> {
        address::of_list(&self.url).map(drop).ok_or(PollError::Address)
    }

    /// Begins to follow. Returns what is known once there is a first list, or when the patience for it is over; from
    /// then on, too, it is what was told, however little. Needs a Tokio runtime, in which a task asks on for as long as
    /// there is a handle on the list.
    ///
    /// # Errors
    /// The address is none, or there is nobody to trust. That auth-service does not answer is no error.
    pub async fn start(&self) -> Result<Revocations, PollError> {
        let address = address::of_list(&self.url).ok_or(PollError::Address)?;
        let list = Revocations::new(self.max_age);
        self.spawn(address, ListResource::new(Arc::downgrade(&list.0))).await?;
        Ok(list)
    }

    /// Begins to follow the public keys, whose address (`…/.well-known/jwks.json`) `url` is in this case. Returns as
    /// [`Poller::start`] does. From then on, no request ever causes a question.
    ///
    /// # Errors
    /// As there.
    pub async fn keys(&self) -> Result<PublicKeys, PollError> {
        let address = address::bare(&self.url).ok_or(PollError::Address)?;
        let keys = PublicKeys::unknown(self.max_age);
        self.spawn(address, KeyResource::new(Arc::downgrade(&keys.0))).await?;
        Ok(keys)
    }

    async fn spawn(&self, address: Url, resource: impl Resource) -> Result<(), PollError> {
        let source = Source::at(address).map_err(PollError::Roots)?;
        let (first, arrived) = oneshot::channel();
        tokio::spawn(PollTask::new(source, resource, self.poll.max(SHORTEST_POLL), first).run());
        // What is late comes later.
        let _ = timeout(self.start_timeout, arrived).await;
        Ok(())
    }
}
