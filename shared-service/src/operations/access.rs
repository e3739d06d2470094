use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, HeaderName};
use metrics::{Counter, counter};
use shared_claims::{AccessClaims, Guard, Secret, SetupError, Trust, Verifier};

use super::metrics::Named;
use crate::recorder::is_on;
use crate::settings::Settings;

/// The counter of access tokens by [`Guard::OUTCOMES`], and its help text.
pub(super) const VERIFIED: Named = ("jwt_verify_total", "Requests that need an access token, by what was found");

/// The settings of access token verification.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// The `iss` of every token.
    pub issuer: String,
    /// The longest life of an access token.
    pub ttl: Duration,
    /// The secret that access tokens are signed with; `None` where it was missing or weak.
    pub secret: Option<Secret>,
    /// The secret before that one.
    pub previous: Option<Secret>,
    /// One more header that may carry a token.
    pub header: Option<HeaderName>,
}

impl AccessSettings {
    /// Reads them; a missing secret is remembered as wrong.
    pub fn read(settings: &mut Settings) -> Self {
        let why = "Signs and verifies access tokens; the same in every service. Also ACCESS_TOKEN_SECRET_FILE";
        let secret = settings.required_signing_secret("ACCESS_TOKEN_SECRET", why);
        let why = "The access secret before this one: still verified, never signed with";
        let previous = settings.signing_secret("ACCESS_TOKEN_SECRET_PREVIOUS", why);
        let ttl = Self::ttl(settings);
        let issuer = settings.text("TOKEN_ISSUER", "auth-service", "Issuer of every token (iss)");
        let why = "One more header that may carry an access token, such as x-access-token";
        let header = settings.optional("ACCESS_TOKEN_HEADER", why).and_then(|name| {
            let parsed = name.parse().ok().filter(|name| name != AUTHORIZATION);
            if parsed.is_none() {
                settings.wrong("ACCESS_TOKEN_HEADER", "must be the name of a header, another than Authorization");
            }
            parsed
        });
        Self { issuer, ttl, secret, previous, header }
    }

    /// Reads the longest life of an access token alone.
    pub fn ttl(settings: &mut Settings) -> Duration {
        settings.whole_seconds("ACCESS_TOKEN_TTL", "15m", "Lifetime of an access token; the same in every service")
    }

    /// The verifier of access tokens for the service `audience`.
    ///
    /// # Errors
    /// There is no secret, a name is empty, or the crypto fails its self-test.
    pub fn verifier(&self, audience: &str) -> Result<Verifier<AccessClaims>, SetupError> {
        let trust = Trust {
            issuer: &self.issuer,
            audience,
            max_life: self.ttl,
            secret: self.secret.as_ref().ok_or(SetupError::Key)?,
            previous: self.previous.as_ref(),
        };
        Verifier::new(&trust)
    }

    /// The guard of the service `audience`, for its extractors.
    ///
    /// # Errors
    /// As [`AccessSettings::verifier`].
    pub fn guard(&self, audience: &str) -> Result<Guard, SetupError> {
        let verifier = self.verifier(audience)?;
        log_secret("ACCESS_TOKEN_SECRET", self.secret.as_ref());
        log_secret("ACCESS_TOKEN_SECRET_PREVIOUS", self.previous.as_ref());
        Ok(Guard::new(verifier).telling(count).also_from(self.header.as_ref().map(HeaderName::as_str)))
    }
}

/// Counts a verified token. Each request does, so the handles are kept.
fn count(outcome: &'static str) {
    static COUNTERS: LazyLock<[(&str, Counter); Guard::OUTCOMES.len()]> =
        LazyLock::new(|| Guard::OUTCOMES.map(|outcome| (outcome, counter!(VERIFIED.0, "result" => outcome))));
    if is_on()
        && let Some((_, counter)) = COUNTERS.iter().find(|(known, _)| *known == outcome)
    {
        counter.increment(1);
    }
}

/// One line of the audit log for a signing secret that counts from now on, by the name that its tokens carry.
pub fn log_secret(setting: &'static str, secret: Option<&Secret>) {
    if let Some(secret) = secret {
        let kid = secret.key_id();
        log::info!(target: "audit", event = "secret.in_use", setting = setting, kid = kid.as_str(); "a secret counts");
    }
}
