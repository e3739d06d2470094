use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, HeaderName};
use metrics::{Counter, counter};
use shared_claims::{AccessClaims, BearerAuth, Keyring, PublicKeys, Secret, SetupError, Verifier};

use super::metrics::Metrics;
use crate::recorder::{VERIFIED, is_on};
use crate::settings::Settings;

/// The settings of access token verification.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// The `iss` of every token.
    pub issuer: String,
    /// The longest lifetime of an access token.
    pub ttl: Duration,
    /// The signing secret; `None` if it is missing or weak, or if a private key signs.
    pub secret: Option<Secret>,
    /// The previous signing secret.
    pub previous: Option<Secret>,
    /// The public keys of tokens that are signed with a private key.
    pub keys: Option<PublicKeys>,
    /// An extra header that may carry a token.
    pub header: Option<HeaderName>,
}

impl AccessSettings {
    /// Reads these settings, except the public keys; see [`Settings::require_secret`].
    pub fn read(settings: &mut Settings) -> Self {
        let why = "Signs and verifies access tokens; the same in every service. Also ACCESS_TOKEN_SECRET_FILE";
        let secret = settings.signing_secret("ACCESS_TOKEN_SECRET", why);
        let why = "The access secret before this one: still verified, never signed with";
        let previous = settings.signing_secret("ACCESS_TOKEN_SECRET_PREVIOUS", why);
        settings.warn_of_same("ACCESS_TOKEN_SECRET_PREVIOUS", secret.as_ref(), previous.as_ref());
        let ttl = Self::ttl(settings);
        let issuer = Self::issuer(settings);
        let why = "One more header that may carry an access token, such as x-access-token";
        let header = settings.optional("ACCESS_TOKEN_HEADER", why).and_then(|name| {
            let parsed = name.parse().ok().filter(|name| name != AUTHORIZATION);
            if parsed.is_none() {
                settings.wrong("ACCESS_TOKEN_HEADER", "must be the name of a header, another than Authorization");
            }
            parsed
        });
        Self { issuer, ttl, secret, previous, keys: None, header }
    }

    /// Reads the issuer alone.
    pub fn issuer(settings: &mut Settings) -> String {
        let why = "Issuer of every token (iss); as the URL of auth-service it also publishes metadata (RFC 8414)";
        settings.text("TOKEN_ISSUER", "auth-service", why)
    }

    /// Reads the longest lifetime of an access token only.
    pub fn ttl(settings: &mut Settings) -> Duration {
        settings.whole_seconds("ACCESS_TOKEN_TTL", "15m", "Lifetime of an access token; the same in every service")
    }

    /// The verifier of access tokens for the service `audience`.
    ///
    /// # Errors
    /// There is neither a secret nor a set of public keys, a name is empty, or the crypto fails its self-test.
    pub fn verifier(&self, audience: &str) -> Result<Verifier<AccessClaims>, SetupError> {
        let keys = Keyring::new(self.secret.iter().chain(&self.previous), self.keys.clone())?;
        Verifier::with_keys(&self.issuer, audience, self.ttl, keys)
    }

    /// The bearer authentication of the service `audience`, for its extractors.
    ///
    /// # Errors
    /// As [`AccessSettings::verifier`].
    pub fn bearer_auth(&self, audience: &str) -> Result<BearerAuth, SetupError> {
        let verifier = self.verifier(audience)?;
        log_secret("ACCESS_TOKEN_SECRET", self.secret.as_ref());
        log_secret("ACCESS_TOKEN_SECRET_PREVIOUS", self.previous.as_ref());
        Ok(BearerAuth::new(verifier).on_outcome(count).with_extra_header(self.header.as_ref().map(HeaderName::as_str)))
    }

    /// Exports the age of the public keys in seconds, and their number.
    #[must_use]
    pub fn shown(metrics: Metrics, keys: &PublicKeys) -> Metrics {
        let (aged, counted) = (keys.clone(), keys.clone());
        let age = ("jwks_age_seconds", "Age of the set of public keys; infinite before the first one");
        let count = ("jwks_keys", "Public keys of access tokens that are accepted");
        metrics.age(age, move || aged.age()).count(count, move || counted.keys().len())
    }
}

/// Counts an outcome. This runs on every request, so the counter handles are cached.
fn count(outcome: &'static str) {
    static COUNTERS: LazyLock<[(&str, Counter); BearerAuth::OUTCOMES.len()]> =
        LazyLock::new(|| BearerAuth::OUTCOMES.map(|outcome| (outcome, counter!(VERIFIED, "result" => outcome))));
    if is_on()
        && let Some((_, counter)) = COUNTERS.iter().find(|(known, _)| *known == outcome)
    {
        counter.increment(1);
    }
}

/// Writes an audit event with the `kid` of a signing secret in use.
pub fn log_secret(setting: &'static str, secret: Option<&Secret>) {
    if let Some(secret) = secret {
        let kid = secret.key_id();
        log::info!(target: "audit", event = "secret.in_use", setting = setting, kid = kid.as_str(); "a secret is in use");
    }
}
