//! The private key that signs access tokens, and the keys before and after it. A key is published before it signs
//! (standby), while it signs (in use) and afterwards (previous). A revoked key is in neither setting.

use secrecy::ExposeSecret;
use shared_claims::{PublicKey, PublicKeys, SigningKey};
use shared_service::Settings;

const KEY: &str = "ACCESS_TOKEN_KEY";
const PREVIOUS: &str = "ACCESS_TOKEN_KEY_PREVIOUS";

/// The keys of `ACCESS_TOKEN_KEY` and `ACCESS_TOKEN_KEY_PREVIOUS`.
#[derive(Clone, Debug, Default)]
pub struct AccessKeys {
    /// The key that signs; without one, the shared secret signs.
    pub signing: Option<SigningKey>,
    previous: Vec<PublicKey>,
    is_set: bool,
}

impl AccessKeys {
    /// Reads the keys; errors are reported by [`Settings::finish`].
    pub fn read(settings: &mut Settings) -> Self {
        let why = "Private key (PEM, PKCS#8) that signs access tokens; without it, the secret signs. Also ACCESS_TOKEN_KEY_FILE";
        let signing = settings.secret_text(KEY, why).and_then(|pem| {
            let key = SigningKey::from_pem(pem.expose_secret());
            key.map_err(|error| settings.wrong(KEY, error.to_string())).ok()
        });
        let why = "Keys before or after it, private or public PEM: published and accepted, never signed with";
        let previous = settings.secret_text(PREVIOUS, why).map_or_else(Vec::new, |pem| {
            let keys = PublicKey::all_from_pem(pem.expose_secret());
            keys.map_err(|error| settings.wrong(PREVIOUS, error.to_string())).unwrap_or_default()
        });
        if previous.iter().enumerate().any(|(place, key)| previous[..place].contains(key)) {
            settings.wrong(PREVIOUS, "holds one key twice; remove one of the two blocks");
        }
        if signing.as_ref().and_then(SigningKey::public).is_some_and(|key| previous.contains(key)) {
            settings.wrong(PREVIOUS, format!("holds the key of {KEY}, too; take it away there"));
        }
        let keys = Self { signing, previous, is_set: settings.is_set(KEY) || settings.is_set(PREVIOUS) };
        let (count, most) = (keys.published().len(), PublicKeys::MOST);
        if count > most {
            let why = "holds too many keys: with the key in use,";
            settings.wrong(PREVIOUS, format!("{why} {count} would be published, and a verifier accepts {most}"));
        }
        keys
    }

    /// All published keys, the signing key first.
    pub(crate) fn published(&self) -> Vec<PublicKey> {
        self.signing.iter().filter_map(SigningKey::public).chain(&self.previous).cloned().collect()
    }

    /// A shared handle on the published keys; `None` if no key is set.
    pub(crate) fn handle(&self) -> Option<PublicKeys> {
        self.is_set.then(|| PublicKeys::own(self.published()))
    }

    /// Each key with its state.
    pub(crate) fn states(&self) -> Vec<(PublicKey, &'static str)> {
        let signing = self.signing.as_ref().and_then(SigningKey::public).cloned();
        let in_use = signing.map(|key| (key, "in use"));
        in_use.into_iter().chain(self.previous.iter().map(|key| (key.clone(), "standby or previous"))).collect()
    }

    /// Writes an audit event for the signing key.
    pub fn log(&self) {
        if let Some(key) = self.signing.as_ref().and_then(SigningKey::public) {
            let (kid, alg) = (key.key_id(), key.algorithm());
            log::info!(target: "audit", event = "key.in_use", kid = kid, alg = alg; "a key signs");
        }
    }
}
