use shared_claims::{AccessClaims, Claims, RefreshClaims, Secret, SetupError, TokenError, Trust, Verifier};

use super::parts::Parts;
use crate::cli::CliError;
use crate::config::Config;

/// What the services' own verifier says.
pub(super) enum Verdict {
    /// A good access token.
    Access(AccessClaims),
    /// A good refresh token.
    Refresh(RefreshClaims),
    /// Why it is refused.
    Refused(TokenError),
}

impl Verdict {
    /// A text that is no refresh token is judged as an access token is.
    pub(super) fn of(token: &str, audience: &str, config: &Config, now_ms: i64) -> Result<Self, CliError> {
        let now = u64::try_from(now_ms / 1000).unwrap_or_default();
        let judged = if Parts::of(token).typ() == Some(RefreshClaims::TYP) {
            verifier(&Keyring::refresh(config), audience, config)?.verify(token, now).map(Self::Refresh)
        } else {
            verifier(&Keyring::access(config), audience, config)?.verify(token, now).map(Self::Access)
        };
        Ok(judged.unwrap_or_else(Self::Refused))
    }
}

/// The secrets for one kind of token, by the names of their settings.
pub(super) struct Keyring<'a> {
    pub(super) name: &'static str,
    pub(super) secret: Option<&'a Secret>,
    pub(super) previous: Option<&'a Secret>,
    pub(super) max_life: std::time::Duration,
}

impl<'a> Keyring<'a> {
    pub(super) fn access(config: &'a Config) -> Self {
        let (secret, previous) = (config.access.secret.as_ref(), config.access.previous.as_ref());
        Self { name: "ACCESS_TOKEN_SECRET", secret, previous, max_life: config.access.ttl }
    }

    pub(super) fn refresh(config: &'a Config) -> Self {
        let (secret, previous) = (config.refresh_secret.as_ref(), config.refresh_previous.as_ref());
        Self { name: "REFRESH_TOKEN_SECRET", secret, previous, max_life: config.stores.rules.refresh_ttl }
    }

    /// Each secret with the name of its setting.
    pub(super) fn each(&self) -> impl Iterator<Item = (String, &'a Secret)> {
        let before = self.previous.map(|secret| (format!("{}_PREVIOUS", self.name), secret));
        self.secret.map(|secret| (self.name.to_owned(), secret)).into_iter().chain(before)
    }
}

fn verifier<C: Claims>(keys: &Keyring<'_>, audience: &str, config: &Config) -> Result<Verifier<C>, CliError> {
    let trust = Trust {
        issuer: &config.access.issuer,
        audience,
        max_life: keys.max_life,
        secret: keys.secret.ok_or(SetupError::Key).map_err(CliError::refused)?,
        previous: keys.previous,
    };
    Verifier::new(&trust).map_err(CliError::refused)
}

/// Whether `secret` alone made the signature of `token`; `None` where the verifier does not come that far.
pub(super) fn made_by<C: Claims>(secret: &Secret, token: &str, now: u64) -> Option<bool> {
    use TokenError as E;
    // Whom it is from and for comes after the signature; any names will do.
    let trust = Trust { issuer: "any", audience: "any", max_life: std::time::Duration::MAX, secret, previous: None };
    match Verifier::<C>::new(&trust).ok()?.verify(token, now) {
        Err(E::Signature) => Some(false),
        Err(E::TooLong | E::Malformed | E::MalformedHeader | E::Algorithm | E::Type | E::Critical) => None,
        _ => Some(true),
    }
}
