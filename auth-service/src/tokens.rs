//! The tokens of a session: issued as a pair. A refresh token is verified before any store is queried.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use arc_swap::ArcSwap;
use shared_claims::{
    AccessClaims, PublicKey, PublicKeys, RefreshClaims, Secret, SetupError, Signer, TokenError, Verifier,
    VerifierConfig,
};
use shared_service::Settings;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::access_keys::AccessKeys;
use crate::config::{AUDIENCE, Config};
use crate::sessions::{Session, SessionId};
use crate::users::{User, UserId};

/// Signs both kinds of token, and verifies those that clients present to auth-service.
pub struct Tokens {
    access: ArcSwap<Signer<AccessClaims>>,
    access_config: AccessTokenConfig,
    keys: Option<PublicKeys>,
    access_verifier: Verifier<AccessClaims>,
    access_ttl: u64,
    refresh: Signer<RefreshClaims>,
    refresh_verifier: Verifier<RefreshClaims>,
    refresh_ttl: u64,
}

/// Issuer and audience of access tokens, and the secret that signs if there is no private key.
struct AccessTokenConfig {
    issuer: String,
    audience: Vec<String>,
    secret: Option<Secret>,
}

impl AccessTokenConfig {
    fn signer(&self, keys: &AccessKeys) -> Result<Signer<AccessClaims>, SetupError> {
        match (&keys.signing, &self.secret) {
            (Some(key), _) => Signer::with_key(&self.issuer, &self.audience, key.clone()),
            (None, Some(secret)) => Signer::new(&self.issuer, &self.audience, secret),
            (None, None) => Err(SetupError::NoKey),
        }
    }
}

/// The tokens of a session. Has no `Debug`, so that they cannot be logged.
pub struct TokenPair {
    /// The access token: accepted by every service in the audience, for `expires_in` seconds.
    pub access_token: String,
    /// The refresh token: accepted by auth-service only, and valid once.
    pub refresh_token: String,
    /// The lifetime of the access token, in seconds.
    pub expires_in: u64,
}

/// The claims of a verified refresh token.
#[derive(Debug)]
pub struct VerifiedRefreshToken {
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session: SessionId,
    /// The generation.
    pub generation: i64,
    /// The `exp`, if the token lives longer than `REFRESH_TOKEN_TTL`.
    late_exp: Option<u64>,
}

impl VerifiedRefreshToken {
    /// True if only its session can tell whether the token lives too long: it may have been issued by an instance with
    /// a longer `REFRESH_TOKEN_TTL`.
    pub(crate) const fn is_long(&self) -> bool {
        self.late_exp.is_some()
    }

    /// False if this is the newest token of `session` and does not expire with it: then it lives longer than allowed.
    pub(crate) fn may_be_of(&self, session: &Session) -> bool {
        (self.session, self.generation) != (session.id, session.generation)
            || self.late_exp.is_none_or(|exp| exp == seconds(session.idle_ends_at))
    }
}

impl Tokens {
    /// Creates the signers and verifiers from `config`.
    ///
    /// # Errors
    /// A secret or a name is missing, or the crypto fails its self-test.
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        let secret = config.refresh_secret.as_ref().ok_or(SetupError::Key)?;
        let issuer = &config.access.issuer;
        let (audience, access_secret) = (config.access_audience.clone(), config.access.secret.clone());
        let access_config = AccessTokenConfig { issuer: issuer.clone(), audience, secret: access_secret };
        Ok(Self {
            access: ArcSwap::from_pointee(access_config.signer(&config.access_keys)?),
            access_config,
            keys: config.access.keys.clone(),
            access_verifier: config.access.verifier(AUDIENCE)?,
            access_ttl: config.access.ttl.as_secs(),
            refresh: Signer::new(issuer, &[AUDIENCE.to_owned()], secret)?,
            refresh_verifier: Verifier::new(&VerifierConfig {
                issuer,
                audience: AUDIENCE,
                max_life: Duration::MAX,
                secret,
                previous: config.refresh_previous.as_ref(),
            })?,
            refresh_ttl: config.stores.rules.refresh_ttl.as_secs(),
        })
    }

    /// Signs with `keys` from now on, and accepts tokens signed with any of their published keys.
    fn change_keys(&self, keys: &AccessKeys) -> Result<(), SetupError> {
        let signer = self.access_config.signer(keys)?;
        let publish = |before: Vec<PublicKey>| {
            let Some(published) = &self.keys else { return };
            let new = keys.published();
            let old = before.into_iter().filter(|key| !new.contains(key));
            published.replace(new.iter().cloned().chain(old).collect());
        };
        // The new key must be accepted before its first token is sent, the old one until after its last.
        publish(self.keys.as_ref().map_or_else(Vec::new, PublicKeys::keys));
        self.access.store(Arc::new(signer));
        publish(Vec::new());
        keys.log();
        Ok(())
    }

    /// Issues both tokens of `session`, which belongs to `user`.
    ///
    /// The refresh token depends on the session alone, so a retry gets the same one. The `iat` of the access token
    /// comes from the session, because `notBefore` uses the same clock. The access token expires with the session, if
    /// that ends before the token's own lifetime.
    pub(crate) fn issue(&self, user: &User, session: &Session) -> TokenPair {
        let date = seconds(session.issued_at);
        // At least a second, because `exp` must be after `iat`.
        let expires_in = self.access_ttl.min(seconds(session.ends_at).saturating_sub(date)).max(1);
        let access = AccessClaims {
            sub: user.id.to_string(),
            exp: date + expires_in,
            iat: date,
            jti: Uuid::new_v4().to_string(),
            sid: session.id.to_string(),
            username: user.username.to_string(),
            role: user.role.to_string(),
        };
        let refresh = RefreshClaims {
            sub: session.user_id.clone(),
            exp: seconds(session.idle_ends_at),
            iat: seconds(session.rotated_at),
            jti: refresh_jti(session.id, session.generation.unsigned_abs()),
            sid: session.id.to_string(),
            generation: session.generation.unsigned_abs(),
        };
        TokenPair {
            access_token: self.access.load().sign(&access),
            refresh_token: self.refresh.sign(&refresh),
            expires_in,
        }
    }

    /// Verifies that `token` is a valid refresh token at `now_ms`, apart from a long life.
    ///
    /// # Errors
    /// The reason why it is not.
    pub(crate) fn verify(&self, token: &str, now_ms: i64) -> Result<VerifiedRefreshToken, TokenError> {
        let claims = self.refresh_verifier.verify(token, seconds(now_ms))?;
        let late_exp = Some(claims.exp).filter(|exp| exp - claims.iat > self.refresh_ttl);
        verified(&claims).map(|verified| VerifiedRefreshToken { late_exp, ..verified })
    }

    /// Returns the user and the session of any token that was ever signed for it: a refresh token, or else an access
    /// token. Used and expired tokens are accepted.
    pub(crate) fn session_to_end(&self, token: &str, now_ms: i64) -> Result<(String, SessionId), TokenError> {
        let now = seconds(now_ms);
        let refresh = self.refresh_verifier.verify_expired_too(token, now).and_then(|claims| verified(&claims));
        refresh.map(|verified| (verified.user_id.to_string(), verified.session)).or_else(|error| {
            let access = self.access_verifier.verify_expired_too(token, now).map_err(|_| error)?;
            Ok((access.sub, access.sid.parse().map_err(|_| TokenError::Claim("sid"))?))
        })
    }
}

/// Reads the keys again at each SIGHUP. If the new keys are invalid, the old ones stay in use.
pub(crate) fn reload_on_hangup(tokens: Arc<Tokens>) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    rt::spawn(async move {
        while hangups.recv().await.is_some() {
            let mut settings = Settings::from_process();
            let keys = AccessKeys::read(&mut settings);
            let read = settings.finish().map_err(|error| error.to_string());
            match read.and_then(|()| tokens.change_keys(&keys).map_err(|error| error.to_string())) {
                Ok(()) => log::info!("the keys of access tokens were read again"),
                Err(error) => log::error!("the keys of access tokens stay as they were: {error}"),
            }
        }
    });
    Ok(())
}

/// Reads the claims of a verified refresh token. The `jti` must be the one that [`Tokens::issue`] writes.
fn verified(claims: &RefreshClaims) -> Result<VerifiedRefreshToken, TokenError> {
    let session = claims.sid.parse().map_err(|_| TokenError::Claim("sid"))?;
    if claims.jti != refresh_jti(session, claims.generation) {
        return Err(TokenError::Claim("jti"));
    }
    let generation = i64::try_from(claims.generation).map_err(|_| TokenError::Claim("gen"))?;
    let user_id = claims.sub.parse().map_err(|_| TokenError::Claim("sub"))?;
    Ok(VerifiedRefreshToken { user_id, session, generation, late_exp: None })
}

fn refresh_jti(session: SessionId, generation: u64) -> String {
    format!("{session}.{generation}")
}

/// Whole seconds since 1970.
fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1000).unwrap_or(0)
}
