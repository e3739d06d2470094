/// The URL of auth-service.
mod address;
/// The resources that can be polled.
mod resource;
/// A single conditional request.
mod source;
/// The poll loop.
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

/// The minimum interval: a `poll` of zero would be a busy loop.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// The configuration of a poller for auth-service's revocation list or public keys.
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
/// // Refuses all tokens once auth-service has not answered for half a minute:
/// let strict = Poller { max_age: Some(Duration::from_secs(30)), ..Poller::new("http://auth:3000") };
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Poller {
    /// For [`Poller::start`] the base URL of auth-service, such as `https://auth.example.com` or `http://auth:3000`; for
    /// [`Poller::keys`] the full URL of the key set.
    pub url: String,
    /// The interval between two requests, shortened by a random 0 to 15 % so that services started together do not poll
    /// together.
    pub poll: Duration,
    /// The age from which the list is stale, so that no token is accepted; see [`Revocations::new`]. Choose a multiple
    /// of `poll`.
    pub max_age: Option<Duration>,
    /// The time that [`Poller::start`] waits for the first list.
    pub start_timeout: Duration,
    /// True if the service also has a secret: [`Poller::keys`] then takes a 404 for an empty set, as before the secret
    /// is replaced by a key. Otherwise a 404 is an error, because no token could be verified.
    pub has_secret: bool,
}

/// The reason why a poller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The URL is not a plain http or https URL.
    #[error("the address of auth-service must look like https://auth.example.com or http://auth:3000")]
    Address,
    /// No trusted certificate authority is installed.
    #[error("there are no certificates of authorities to trust; SSL_CERT_FILE can name a file of them")]
    Roots(#[source] io::Error),
}

impl Poller {
    /// Polls every second, without a maximum age, and waits 5 s for the first list.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let (poll, start_timeout) = (Duration::from_secs(1), Duration::from_secs(5));
        Self { url: url.into(), poll, max_age: None, start_timeout, has_secret: false }
    }

    /// Checks the URL.
    ///
    /// # Errors
    /// The URL is not a plain http or https URL.
    pub fn check(&self) -> Result<(), PollError> {
        address::of_list(&self.url).map(drop).ok_or(PollError::Address)
    }

    /// Starts polling. Returns after the first list arrives or `start_timeout` elapses; in the latter case the list is
    /// empty until the first response. Needs a Tokio runtime. The background task ends when the last clone of the list
    /// is dropped.
    ///
    /// # Errors
    /// The URL is invalid, or no certificate authority is trusted. An auth-service that does not answer is not an
    /// error.
    pub async fn start(&self) -> Result<Revocations, PollError> {
        let address = address::of_list(&self.url).ok_or(PollError::Address)?;
        let list = Revocations::new(self.max_age);
        self.spawn(address, ListResource { list: Arc::downgrade(&list.0), cursor: None, etag: None }).await?;
        Ok(list)
    }

    /// Starts polling the public keys; `url` is then the address of the JWKS (`…/.well-known/jwks.json`). Returns as
    /// [`Poller::start`] does. Verifying a token never causes a request.
    ///
    /// # Errors
    /// As [`Poller::start`].
    pub async fn keys(&self) -> Result<PublicKeys, PollError> {
        let address = address::bare(&self.url).ok_or(PollError::Address)?;
        let keys = PublicKeys::unknown(self.max_age);
        let resource = KeyResource { keys: Arc::downgrade(&keys.0), has_secret: self.has_secret, etag: None };
        self.spawn(address, resource).await?;
        Ok(keys)
    }

    async fn spawn(&self, address: Url, resource: impl Resource) -> Result<(), PollError> {
        let source = Source::at(address).map_err(PollError::Roots)?;
        let (first, arrived) = oneshot::channel();
        let poll = self.poll.max(SHORTEST_POLL);
        tokio::spawn(PollTask { source, resource, poll, failures: 0, outage: None, first: Some(first) }.run());
        // After a timeout the task continues in the background.
        let _ = timeout(self.start_timeout, arrived).await;
        Ok(())
    }
}
