/// Where auth-service is.
mod address;
/// What is followed.
mod feed;
/// One question, one answer.
mod source;
/// When to ask, and what an answer changes.
mod turns;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::feed::{Feed, KeyFeed, ListFeed};
use self::source::Source;
use self::turns::Follower;
use crate::{PublicKeys, Revocations};

/// A `poll` of nothing would be a loop without a pause.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// Which auth-service's revocations or public keys to follow, and how.
///
/// ```no_run
/// # async fn f(auth: shared_claims::BearerAuth) -> Result<(), shared_claims::FollowError> {
/// use std::time::Duration;
///
/// use shared_claims::Follow;
///
/// let revocations = Follow::new("http://auth:3000").start().await?;
/// let auth = auth.with_revocations(revocations);
///
/// // Whoever would rather let nobody in than somebody who may have signed out half a minute ago:
/// let strict = Follow { max_age: Some(Duration::from_secs(30)), ..Follow::new("http://auth:3000") };
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Follow {
    /// Where auth-service is, such as `https://auth.example.com` or `http://auth:3000`.
    pub url: String,
    /// How often to ask; less by up to 15 %, so that services that started together do not ask together.
    pub poll: Duration,
    /// The age from which a list clears nobody any more: see [`Revocations::new`]. Some multiple of `poll`.
    pub max_age: Option<Duration>,
    /// How long [`Follow::start`] waits for the first list.
    pub patience: Duration,
}

/// Why nothing is followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// It is no http or https URL, or more than that.
    #[error("the address of auth-service must look like https://auth.example.com or http://auth:3000")]
    Address,
    /// No server could prove who it is.
    #[error("there are no certificates of authorities to trust; SSL_CERT_FILE can name a file of them")]
    Roots(#[source] io::Error),
}

impl Follow {
    /// Every second; without a greatest age; 5 s for the first list.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), poll: Duration::from_secs(1), max_age: None, patience: Duration::from_secs(5) }
    }

    /// Whether there can be somebody to follow at the address.
    ///
    /// # Errors
    /// It is none.
    pub fn check(&self) -> Result<(), FollowError> {
        address::of_list(&self.url).map(drop).ok_or(FollowError::Address)
    }

    /// Begins to follow. Returns what is known once there is a first list, or when the patience for it is over; from
    /// then on, too, it is what was told, however little. Needs a Tokio runtime, in which a task asks on for as long as
    /// there is a handle on the list.
    ///
    /// # Errors
    /// The address is none, or there is nobody to trust. That auth-service does not answer is no error.
    pub async fn start(&self) -> Result<Revocations, FollowError> {
        let address = address::of_list(&self.url).ok_or(FollowError::Address)?;
        let list = Revocations::new(self.max_age);
        self.follow(address, ListFeed::new(Arc::downgrade(&list.0))).await?;
        Ok(list)
    }

    /// Begins to follow the public keys, whose address (`…/.well-known/jwks.json`) `url` is in this case. Returns as
    /// [`Follow::start`] does. From then on, no request ever causes a question.
    ///
    /// # Errors
    /// As there.
    pub async fn keys(&self) -> Result<PublicKeys, FollowError> {
        let address = address::bare(&self.url).ok_or(FollowError::Address)?;
        let keys = PublicKeys::unknown(self.max_age);
        self.follow(address, KeyFeed::new(Arc::downgrade(&keys.0))).await?;
        Ok(keys)
    }

    async fn follow(&self, address: Url, feed: impl Feed) -> Result<(), FollowError> {
        let source = Source::at(address).map_err(FollowError::Roots)?;
        let (first, told) = oneshot::channel();
        tokio::spawn(Follower::new(source, feed, self.poll.max(SHORTEST_POLL), first).follow());
        // What is late comes later.
        let _ = timeout(self.patience, told).await;
        Ok(())
    }
}
