use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde_json::Value;

use super::PublicKey;
use super::keyring::Key;
use crate::Members;
use crate::age::Age;

/// The longest published set, in bytes and in keys.
const LONGEST: usize = 64 << 10;
const MOST_KEYS: usize = 16;

/// The public keys of auth-service that count at the moment. A clone is another handle on the same keys.
#[derive(Clone)]
pub struct PublicKeys(pub(crate) Arc<Published>);

/// The keys behind the handles.
pub(crate) struct Published {
    set: ArcSwap<Set>,
    /// None where the keys are this process's own.
    followed: Option<Age>,
}

/// Replaced as a whole.
#[derive(Default)]
struct Set {
    generation: u64,
    keys: Vec<PublicKey>,
    verifying: Vec<Key>,
    jwks: String,
}

/// The text is no set of keys (RFC 7517 section 5), or it is too long.
#[derive(Debug, thiserror::Error)]
#[error("its answer is no JSON Web Key Set of 16 keys and 64 KiB at most")]
pub struct NotAKeySet;

/// A published set as it is read, each key by itself: one that cannot be used hides no other.
#[derive(Deserialize)]
struct Wire {
    keys: Vec<Value>,
}

impl PublicKeys {
    /// Keys of this process, which are always known.
    #[must_use]
    pub fn own(keys: Vec<PublicKey>) -> Self {
        Self::new(keys, None)
    }

    /// Keys that are not known yet. With a `max_age`, they count only as long as nothing older than that is known of them.
    #[must_use]
    pub fn unknown(max_age: Option<Duration>) -> Self {
        Self::new(Vec::new(), Some(Age::new(max_age)))
    }

    fn new(keys: Vec<PublicKey>, followed: Option<Age>) -> Self {
        Self(Arc::new(Published { set: ArcSwap::from_pointee(Set::of(keys, 1)), followed }))
    }

    /// Puts `keys` in the place of all that were there. A token of a key that is gone is refused from now on.
    pub fn replace(&self, keys: Vec<PublicKey>) {
        let before = self.0.set.load();
        if before.keys != keys {
            self.0.set.store(Arc::new(Set::of(keys, before.generation + 1)));
        }
    }

    /// Puts the keys of the JWKS `body` in the place of all that were there, and writes to the audit log which came and which
    /// went. Says how many could not be used.
    ///
    /// # Errors
    /// It is no set of keys; then nothing has changed.
    pub fn learn(&self, body: &[u8]) -> Result<usize, NotAKeySet> {
        let (keys, skipped) = read(body)?;
        let before = self.keys();
        tell("key.learned", &keys, &before);
        tell("key.gone", &before, &keys);
        self.replace(keys);
        Ok(skipped)
    }

    /// All of them, the one that signs first.
    #[must_use]
    pub fn keys(&self) -> Vec<PublicKey> {
        self.0.set.load().keys.clone()
    }

    /// The set as auth-service publishes it (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> String {
        self.0.set.load().jwks.clone()
    }

    /// How long ago these were the keys that auth-service published; `None` if it was never asked. Keys of this process are new.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.0.followed.as_ref().map_or(Some(Duration::ZERO), Age::get)
    }

    /// Whether the keys are not known, or older than they may be.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.0.followed.as_ref().is_some_and(|age| age.is_stale() || age.get().is_none())
    }

    #[cfg(feature = "revocation")]
    pub(crate) fn confirm(&self, at: std::time::Instant) {
        if let Some(age) = &self.0.followed {
            age.confirm(at);
        }
    }

    pub(super) fn find(&self, kid: &str) -> Option<Key> {
        self.0.set.load().verifying.iter().find(|key| key.kid == kid).cloned()
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.set.load().generation
    }
}

impl Set {
    fn of(keys: Vec<PublicKey>, generation: u64) -> Self {
        let key = |key: &PublicKey| {
            let verifying = key.verifying().ok()?;
            Some(Key { kid: key.key_id().to_owned(), algorithm: key.algorithm, verifying })
        };
        let jwks = JwkSet { keys: keys.iter().map(|key| key.jwk.clone()).collect() };
        // Texts alone always have a JSON form.
        let jwks = serde_json::to_string(&jwks).unwrap_or_default();
        Self { generation, verifying: keys.iter().filter_map(key).collect(), keys, jwks }
    }
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().iter().map(PublicKey::key_id)).finish()
    }
}

/// The keys of a JWKS that can be used here, and the number of the others.
fn read(body: &[u8]) -> Result<(Vec<PublicKey>, usize), NotAKeySet> {
    if body.len() > LONGEST {
        return Err(NotAKeySet);
    }
    Members::parse(body).map_err(|_| NotAKeySet)?;
    let all = serde_json::from_slice::<Wire>(body).map_err(|_| NotAKeySet)?.keys;
    if all.len() > MOST_KEYS {
        return Err(NotAKeySet);
    }
    let kid = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
    let mut seen = HashSet::new();
    let twice: HashSet<_> = all.iter().filter_map(kid).filter(|kid| !seen.insert(kid.clone())).collect();
    // Its private half is published, so anyone can sign with it.
    let is_secret = |key: &Value| key.get("d").is_some() || key.get("k").is_some();
    let total = all.len();
    let usable = all.into_iter().filter(|key| !is_secret(key) && kid(key).is_some_and(|kid| !twice.contains(&kid)));
    let keys: Vec<_> = usable.filter_map(|key| PublicKey::of(serde_json::from_value::<Jwk>(key).ok()?)).collect();
    let skipped = total - keys.len();
    Ok((keys, skipped))
}

/// An audit line for each of `keys` that is not among `others`.
fn tell(event: &str, keys: &[PublicKey], others: &[PublicKey]) {
    for key in keys.iter().filter(|key| !others.contains(key)) {
        let (kid, alg) = (key.key_id(), key.algorithm());
        log::info!(target: "audit", event = event, kid = kid, alg = alg; "the published keys changed");
    }
}
