//! How often somebody may call, and guess.
//!
//! What is counted is counted for an address, so nobody can use up what belongs to somebody at another one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use shared_http::database::StoreError;

use crate::neighbourhood::Neighbourhood;
use crate::sessions::{Attempt, FailureStore, RateStore};

/// A call waits no longer than this to be counted.
const PATIENCE: Duration = Duration::from_millis(200);

/// The limits of one service.
pub struct Limits {
    /// Calls a minute; `None` is without end.
    pub rates: Option<Arc<dyn RateStore>>,
    /// Wrong passwords in a row before there is a wait, and where they are counted; `None` is without end.
    pub failures: Option<(NonZeroU32, Arc<dyn FailureStore>)>,
}

/// Why somebody has to come back later.
#[derive(Debug, thiserror::Error)]
pub enum Slowed {
    /// They called or guessed too often.
    #[error("to wait {0:?}")]
    Wait(Duration),
    /// It cannot be told.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Leave to try one password. What comes of it is to be settled.
#[must_use]
pub struct Guess<'a> {
    counted: Option<(&'a dyn FailureStore, u32, String, Attempt)>,
}

impl Limits {
    /// Counts a call. While the store is away or slow all calls pass: what they need of it fails by itself,
    /// and the rest is bounded by the hashing queue.
    ///
    /// # Errors
    /// There were too many: how long to wait, at most a minute.
    pub async fn call(&self, from: Neighbourhood) -> Result<(), Duration> {
        let Some(rates) = &self.rates else { return Ok(()) };
        match tokio::time::timeout(PATIENCE, rates.pass(&from.to_string())).await {
            Ok(Ok(wait)) => wait.map_or(Ok(()), Err),
            Ok(Err(error)) => {
                log::warn!("a call was not counted: {error}");
                Ok(())
            }
            Err(_) => {
                log::warn!("a call was not counted: no answer within {PATIENCE:?}");
                Ok(())
            }
        }
    }

    /// Asks for leave to try a password of `login`, a name or an email as somebody typed it, whether there is such an
    /// account or not.
    ///
    /// # Errors
    /// See [`Slowed`].
    pub async fn guess(&self, login: &str, from: Neighbourhood) -> Result<Guess<'_>, Slowed> {
        let Some((limit, store)) = &self.failures else { return Ok(Guess { counted: None }) };
        let (limit, name) = (limit.get(), digest(login, from));
        match store.attempt(&name, limit).await? {
            Attempt::Wait(wait) => Err(Slowed::Wait(wait)),
            attempt => Ok(Guess { counted: Some((&**store, limit, name, attempt)) }),
        }
    }
}

impl Guess<'_> {
    /// Settles what came of it, which nobody is told before.
    ///
    /// # Errors
    /// Others guessed too often meanwhile: then nobody is told at all.
    pub async fn settle(self, right: bool) -> Result<(), Slowed> {
        let Some((store, limit, name, attempt)) = self.counted else { return Ok(()) };
        match attempt {
            Attempt::Free => store.settle(&name, limit, right).await?.map_or(Ok(()), |wait| Err(Slowed::Wait(wait))),
            Attempt::Single if right => Ok(store.forget(&name).await?),
            Attempt::Single | Attempt::Wait(_) => Ok(()),
        }
    }
}

/// A name of one length that tells neither. Case is folded as it is where the account is looked up.
fn digest(login: &str, neighbourhood: Neighbourhood) -> String {
    let text = format!("{}\n{neighbourhood}", login.to_lowercase());
    URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_folded_and_an_address_is_not_the_name() {
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|address| Neighbourhood::from(address.parse().ok()));
        assert_eq!(digest("Anna", here), digest("anna", here));
        assert_ne!(digest("anna", here), digest("anna", there));
        assert_ne!(digest("anna", here), digest("ann", here));
    }
}
