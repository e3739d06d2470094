//! The two tokens of a session: made together, and the refresh token proven before any store is asked.

use std::sync::Arc;

use arc_swap::ArcSwap;
use shared_claims::{
    AccessClaims, PublicKey, PublicKeys, RefreshClaims, Secret, SetupError, Signer, TokenError, Verifier,
    VerifierConfig,
};
use uuid::Uuid;

use crate::access_keys::AccessKeys;
use crate::config::{AUDIENCE, Config};
use crate::sessions::{Session, SessionId};
use crate::users::{User, UserId};

/// Signs both kinds of token, and verifies those that clients present to auth-service.
pub struct Tokens {
    access: ArcSwap<Signer<AccessClaims>>,
    voice: Voice,
    keys: Option<PublicKeys>,
    access_verifier: Verifier<AccessClaims>,
    access_ttl: u64,
    refresh: Signer<RefreshClaims>,
    refresh_verifier: Verifier<RefreshClaims>,
}

/// What every access token says beside its claims, and the secret that signs where there is no private key.
struct Voice {
    issuer: String,
    audience: Vec<String>,
    secret: Option<Secret>,
}

impl Voice {
    fn signer(&self, keys: &AccessKeys) -> Result<Signer<AccessClaims>, SetupError> {
        match (&keys.signing, &self.secret) {
            (Some(key), _) => Signer::with_key(&self.issuer, &self.audience, key.clone()),
            (None, Some(secret)) => Signer::new(&self.issuer, &self.audience, secret),
            (None, None) => Err(SetupError::NoKey),
        }
    }
}

/// What a client gets for a session. It cannot be printed or stored, only sent.
pub struct TokenPair {
    /// For every service in the audience, until `expires_in` seconds have passed.
    pub access_token: String,
    /// For auth-service, once.
    pub refresh_token: String,
    /// The access token's life in seconds.
    pub expires_in: u64,
}

/// A refresh token that was ours: which generation of which session of whom.
#[derive(Debug)]
pub struct VerifiedRefreshToken {
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session: SessionId,
    /// The generation.
    pub generation: i64,
}

impl Tokens {
    /// As `config` says.
    ///
    /// # Errors
    /// A secret or a name is missing, or the crypto fails its self-test.
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        let secret = config.refresh_secret.as_ref().ok_or(SetupError::Key)?;
        let issuer = &config.access.issuer;
        let (audience, access_secret) = (config.access_audience.clone(), config.access.secret.clone());
        let voice = Voice { issuer: issuer.clone(), audience, secret: access_secret };
        Ok(Self {
            access: ArcSwap::from_pointee(voice.signer(&config.access_keys)?),
            voice,
            keys: config.access.keys.clone(),
            access_verifier: config.access.verifier(AUDIENCE)?,
            access_ttl: config.access.ttl.as_secs(),
            refresh: Signer::new(issuer, &[AUDIENCE.to_owned()], secret)?,
            refresh_verifier: Verifier::new(&VerifierConfig {
                issuer,
                audience: AUDIENCE,
                max_life: config.stores.rules.refresh_ttl,
                secret,
                previous: config.refresh_previous.as_ref(),
            })?,
        })
    }

    /// Signs access tokens by `keys` from now on, and accepts those that they publish.
    ///
    /// # Errors
    /// Nothing would sign; then nothing has changed.
    pub fn change_keys(&self, keys: &AccessKeys) -> Result<(), SetupError> {
        let signer = self.voice.signer(keys)?;
        let publish = |before: Vec<PublicKey>| {
            let Some(published) = &self.keys else { return };
            let new = keys.published();
            let old = before.into_iter().filter(|key| !new.contains(key));
            published.replace(new.iter().cloned().chain(old).collect());
        };
        // The new key is accepted before its first token is out, the old one until after its last.
        publish(self.keys.as_ref().map_or_else(Vec::new, PublicKeys::keys));
        self.access.store(Arc::new(signer));
        publish(Vec::new());
        keys.log();
        Ok(())
    }

    /// Both tokens of `session`, which is `user`'s.
    ///
    /// The refresh token follows from the session alone, so that asking twice gives the same one. The access token is dated
    /// as the session says, because cut-offs are told by that clock; it ends with the session, if that is sooner than its
    /// own life.
    #[must_use]
    pub fn issue(&self, user: &User, session: &Session) -> TokenPair {
        let date = seconds(session.issued_at);
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

    /// What `token` presents, if it is a living refresh token of ours at `now_ms`.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<VerifiedRefreshToken, TokenError> {
        self.refresh_verifier.verify(token, seconds(now_ms)).and_then(|claims| verified(&claims))
    }

    /// User and session of any token of the session that was ever signed here: a refresh token, or else an access token.
    /// A used or expired token is accepted too.
    ///
    /// # Errors
    /// The reason why the token is not a refresh token, where it is neither.
    pub fn session_to_end(&self, token: &str, now_ms: i64) -> Result<(String, SessionId), TokenError> {
        let now = seconds(now_ms);
        let refresh = self.refresh_verifier.verify_expired_too(token, now).and_then(|claims| verified(&claims));
        refresh.map(|verified| (verified.user_id.to_string(), verified.session)).or_else(|error| {
            let access = self.access_verifier.verify_expired_too(token, now).map_err(|_| error)?;
            Ok((access.sub, access.sid.parse().map_err(|_| TokenError::Claim("sid"))?))
        })
    }
}

/// Reads the claims of a verified refresh token. The `jti` must be the one that [`Tokens::issue`] writes.
fn verified(claims: &RefreshClaims) -> Result<VerifiedRefreshToken, TokenError> {
    let session = claims.sid.parse().map_err(|_| TokenError::Claim("sid"))?;
    if claims.jti != refresh_jti(session, claims.generation) {
        return Err(TokenError::Claim("jti"));
    }
    let generation = i64::try_from(claims.generation).map_err(|_| TokenError::Claim("gen"))?;
    Ok(VerifiedRefreshToken { session, generation, user_id: claims.sub.parse().map_err(|_| TokenError::Claim("sub"))? })
}

fn refresh_jti(session: SessionId, generation: u64) -> String {
    format!("{session}.{generation}")
}

/// Whole seconds since 1970, as tokens count.
fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1000).unwrap_or(0)
}
