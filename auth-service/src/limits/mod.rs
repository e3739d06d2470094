//! Rate limits for calls and for wrong passwords.
//!
//! Both are counted per network, so that a client cannot use up the limit of a client in another network. IPv6 is
//! counted twice: for the network of 64 bits, and for the surrounding site of 48 bits, which has ten times the limit.

mod failures;
mod network;
mod rates;
mod redis;
mod sql;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use shared_service::database::StoreError;

pub use self::failures::{Attempt, FailureStore};
pub use self::network::ClientNetwork;
pub(crate) use self::rates::Rates;
pub use self::redis::RedisFailures;
pub use self::sql::SqlFailures;

/// The longest time that counting may delay a call.
const PATIENCE: Duration = Duration::from_millis(200);

/// The factor by which the limit of an IPv6 site exceeds that of one of its networks.
pub(crate) const SITE_FACTOR: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// The limits of one service.
pub(crate) struct Limits {
    /// Calls per minute, of a network and of a site; `None` disables the limit.
    pub rates: Option<[Arc<Rates>; 2]>,
    /// The number of consecutive wrong passwords without a wait, and their store; `None` disables the limit.
    pub failures: Option<(NonZeroU32, Arc<dyn FailureStore>)>,
}

/// The reason why a login attempt is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Throttled {
    /// There were too many failures before; the client has to wait this long.
    #[error("to wait {0:?}")]
    Wait(Duration),
    /// The store of failures does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One login attempt, as counted for one network.
struct Counted<'a> {
    store: &'a dyn FailureStore,
    limit: u32,
    name: String,
    attempt: Attempt,
}

impl Limits {
    /// Counts a call. While the store is unavailable or slow, all calls pass: calls that need the store fail anyway,
    /// and the hashing queue bounds the others.
    ///
    /// If the limit is exceeded, the error is the time to wait, at most a minute.
    pub(crate) async fn call(&self, from: ClientNetwork) -> Result<(), Duration> {
        let Some(rates) = &self.rates else { return Ok(()) };
        for (network, rates) in networks(from).zip(rates) {
            pass(rates, network).await?;
        }
        Ok(())
    }

    /// Runs `check`, which compares a password with the account of `login` and returns `None` if it is wrong. Failures
    /// are counted under the submitted name, whether or not the account exists.
    ///
    /// If too many passwords were wrong before, or too many other attempts failed meanwhile, the result of `check` is
    /// withheld: the error is [`Throttled`]. With a right password, `check` also returns a future that completes when a
    /// wrong one would have been refused. The error waits for it, so that its time does not reveal the password.
    pub(crate) async fn guarded<T, E: From<Throttled>>(
        &self,
        login: &str,
        from: ClientNetwork,
        check: impl Future<Output = Result<Option<(T, impl Future)>, E>>,
    ) -> Result<Option<T>, E> {
        let attempts = self.begin(login, from).await?;
        let checked = check.await?;
        for attempt in attempts {
            if let Err(withheld) = attempt.settle(checked.is_some()).await {
                if let Some((_, rest)) = checked {
                    rest.await;
                }
                return Err(withheld.into());
            }
        }
        Ok(checked.map(|(value, _)| value))
    }

    /// Resets the failures counted for `login` from the network `from`: its password was replaced.
    pub(crate) async fn forget(&self, login: &str, from: ClientNetwork) -> Result<(), StoreError> {
        let Some((_, store)) = &self.failures else { return Ok(()) };
        for network in networks(from) {
            store.forget(&digest(login, network)).await?;
        }
        Ok(())
    }

    async fn begin(&self, login: &str, from: ClientNetwork) -> Result<Vec<Counted<'_>>, Throttled> {
        let mut counted = Vec::new();
        let Some((limit, store)) = &self.failures else { return Ok(counted) };
        for (network, limit) in networks(from).zip([*limit, limit.saturating_mul(SITE_FACTOR)]) {
            let (name, limit) = (digest(login, network), limit.get());
            match store.attempt(&name, limit).await? {
                Attempt::Wait(wait) => return Err(Throttled::Wait(wait)),
                attempt => counted.push(Counted { store: &**store, limit, name, attempt }),
            }
        }
        Ok(counted)
    }
}

impl Counted<'_> {
    /// Records the result before the client learns it.
    async fn settle(self, right: bool) -> Result<(), Throttled> {
        match self.attempt {
            Attempt::Free => {
                let wait = self.store.settle(&self.name, self.limit, right).await?;
                wait.map_or(Ok(()), |wait| Err(Throttled::Wait(wait)))
            }
            Attempt::Single if right => Ok(self.store.forget(&self.name).await?),
            Attempt::Single | Attempt::Wait(_) => Ok(()),
        }
    }
}

/// The networks for which a client is counted: its network, and its site if that is larger.
fn networks(from: ClientNetwork) -> impl Iterator<Item = ClientNetwork> {
    std::iter::once(from).chain(Some(from.site()).filter(|site| *site != from))
}

async fn pass(rates: &Rates, network: ClientNetwork) -> Result<(), Duration> {
    let why = match tokio::time::timeout(PATIENCE, rates.pass(&network.to_string())).await {
        Ok(Ok(wait)) => return wait.map_or(Ok(()), Err),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    log::warn!("a request was not counted for its rate limit: {why}");
    Ok(())
}

/// A key of fixed length that reveals neither name nor network. Folds case as the account lookup does.
fn digest(login: &str, network: ClientNetwork) -> String {
    let text = format!("{}\n{network}", login.to_lowercase());
    URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_key_folds_the_name_and_includes_the_network() {
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|address| ClientNetwork::from(address.parse().ok()));
        assert_eq!(digest("Anna", here), digest("anna", here));
        assert_ne!(digest("anna", here), digest("anna", there));
        assert_ne!(digest("anna", here), digest("ann", here));
    }
}
