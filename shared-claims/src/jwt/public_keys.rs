use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde_json::Value;

use super::PublicKey;
use super::key::VerifyingKey;
use crate::age::Age;
use crate::json::parse_object;

/// The maximum size of a JWKS in bytes.
pub(crate) const LONGEST_SET: usize = 64 << 10;

/// The parameters of private and of symmetric keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The public keys of auth-service. Clones share one set.
#[derive(Clone)]
pub struct PublicKeys(pub(crate) Arc<Published>);

/// The state that all clones share.
pub(crate) struct Published {
    set: ArcSwap<Set>,
    /// `None` for the keys of this process, which are never stale.
    polled: Option<Age>,
}

/// An immutable key set.
#[derive(Default)]
struct Set {
    generation: u64,
    keys: Vec<PublicKey>,
    verifying: Vec<VerifyingKey>,
    jwks: String,
}

/// The text is not a JWK Set (RFC 7517 section 5), or exceeds the limits.
#[derive(Debug, thiserror::Error)]
#[error("its answer is no JSON Web Key Set of 16 keys and 64 KiB at most")]
pub struct NotAKeySet;

impl PublicKeys {
    /// The maximum number of keys in a set that a verifier reads.
    pub const MOST: usize = 16;

    /// The keys of this process, which are never stale.
    #[must_use]
    pub fn own(keys: Vec<PublicKey>) -> Self {
        Self::new(keys, None)
    }

    /// An empty set that is stale until it is first read. With a `max_age` it becomes stale again once it is older.
    #[must_use]
    pub fn unknown(max_age: Option<Duration>) -> Self {
        Self::new(Vec::new(), Some(Age::new(max_age)))
    }

    fn new(keys: Vec<PublicKey>, polled: Option<Age>) -> Self {
        Self(Arc::new(Published { set: ArcSwap::from_pointee(Set::of(keys, 1)), polled }))
    }

    /// Replaces all keys. Tokens signed with a removed key are refused from now on.
    pub fn replace(&self, keys: Vec<PublicKey>) {
        let before = self.0.set.load();
        if before.keys != keys {
            self.0.set.store(Arc::new(Set::of(keys, before.generation + 1)));
        }
    }

    /// Replaces all keys by those of the JWKS `body`, and writes added and removed keys to the audit log. Returns the
    /// number of unusable keys.
    ///
    /// # Errors
    /// The body is not a JWKS. The keys stay as they are.
    pub fn learn(&self, body: &[u8]) -> Result<usize, NotAKeySet> {
        let (keys, skipped) = read(body)?;
        let before = self.keys();
        tell("key.learned", &keys, &before);
        tell("key.gone", &before, &keys);
        self.replace(keys);
        Ok(skipped)
    }

    /// All keys, the current signing key first.
    #[must_use]
    pub fn keys(&self) -> Vec<PublicKey> {
        self.0.set.load().keys.clone()
    }

    /// The JWK Set that auth-service publishes (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> String {
        self.0.set.load().jwks.clone()
    }

    /// Time since the set was read from auth-service; `None` before the first time, zero for the keys of this process.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.0.polled.as_ref().map_or(Some(Duration::ZERO), Age::get)
    }

    /// True if the set was never read, or is older than its maximum age.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.0.polled.as_ref().is_some_and(|age| age.is_stale() || age.get().is_none())
    }

    #[cfg(feature = "revocation")]
    pub(crate) fn confirm(&self, at: std::time::Instant) {
        if let Some(age) = &self.0.polled {
            age.confirm(at);
        }
    }

    pub(super) fn find(&self, kid: &str) -> Option<VerifyingKey> {
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
            Some(VerifyingKey { kid: key.key_id().to_owned(), algorithm: key.algorithm, verifying })
        };
        let jwks = JwkSet { keys: keys.iter().map(|key| key.jwk.clone()).collect() };
        // Serializing strings cannot fail.
        let jwks = serde_json::to_string(&jwks).unwrap_or_default();
        Self { generation, verifying: keys.iter().filter_map(key).collect(), keys, jwks }
    }
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().iter().map(PublicKey::key_id)).finish()
    }
}

/// The usable keys of a JWKS, and the number of unusable ones.
fn read(body: &[u8]) -> Result<(Vec<PublicKey>, usize), NotAKeySet> {
    if body.len() > LONGEST_SET {
        return Err(NotAKeySet);
    }
    // The keys are parsed one by one, so that an unusable key does not invalidate the others.
    let Some(Value::Array(all)) = parse_object(body).and_then(|mut set| set.remove("keys")) else {
        return Err(NotAKeySet);
    };
    if all.len() > PublicKeys::MOST {
        return Err(NotAKeySet);
    }
    let kid = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
    let mut seen = HashSet::new();
    let twice: HashSet<_> = all.iter().filter_map(kid).filter(|kid| !seen.insert(kid.clone())).collect();
    // A key published with its private parameters is unusable, because anyone can sign with it.
    let is_secret = |key: &Value| PRIVATE.iter().any(|parameter| key.get(parameter).is_some());
    let total = all.len();
    let usable = all.into_iter().filter(|key| !is_secret(key) && kid(key).is_some_and(|kid| !twice.contains(&kid)));
    let keys: Vec<_> = usable.filter_map(|key| PublicKey::of(serde_json::from_value::<Jwk>(key).ok()?)).collect();
    let skipped = total - keys.len();
    Ok((keys, skipped))
}

/// Writes an audit event for each of `keys` that is not in `others`.
fn tell(event: &str, keys: &[PublicKey], others: &[PublicKey]) {
    for key in keys.iter().filter(|key| !others.contains(key)) {
        let (kid, alg) = (key.key_id(), key.algorithm());
        log::info!(target: "audit", event = event, kid = kid, alg = alg; "the published keys changed");
    }
}
