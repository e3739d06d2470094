use std::marker::PhantomData;
use std::time::Duration;

use super::cache::Cache;
use super::keyring::Keyring;
use super::read::Buffer;
use super::{Claims, Secret, SelfTestFailed, TokenError, self_test};
use crate::{Members, Value};

/// How far the clocks of two machines may differ, in seconds.
pub const LEEWAY: u64 = 5;

/// The issuer that a verifier believes, and for how long, where tokens are signed with a shared secret.
pub struct VerifierConfig<'a> {
    /// The `iss` that every token must carry.
    pub issuer: &'a str,
    /// The name of this service, which `aud` must hold.
    pub audience: &'a str,
    /// The longest life from `iat` to `exp`.
    pub max_life: Duration,
    /// The secret that tokens are signed with.
    pub secret: &'a Secret,
    /// The one before it, while tokens signed with it are alive.
    pub previous: Option<&'a Secret>,
}

/// A signer or a verifier that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// RFC 8725 section 3.8.
    #[error("the issuer has no name")]
    NoIssuer,
    /// RFC 8725 section 3.9.
    #[error("an audience has no name")]
    NoAudience,
    /// The crypto takes no such key.
    #[error("the crypto does not take this key")]
    Key,
    /// Neither a secret nor a set of public keys.
    #[error("there is no key to sign or verify with")]
    NoKey,
    /// The crypto computes something else than it should.
    #[error(transparent)]
    SelfTest(#[from] SelfTestFailed),
}

/// Proves one kind of token, locally: no call, no store.
pub struct Verifier<C> {
    keys: Keyring,
    cache: Option<Cache<C>>,
    issuer: String,
    audience: String,
    max_life: u64,
    kind: PhantomData<fn() -> C>,
}

impl<C: Claims> Verifier<C> {
    /// A verifier that believes what `config` says and nothing else.
    ///
    /// # Errors
    /// A name is empty, or the crypto fails its self-test.
    pub fn new(config: &VerifierConfig<'_>) -> Result<Self, SetupError> {
        let keys = Keyring::new([config.secret].into_iter().chain(config.previous), None)?;
        Self::with_keys(config.issuer, config.audience, config.max_life, keys)
    }

    /// A verifier that believes tokens of `issuer` for `audience` that are signed with one of `keys` and live no longer than
    /// `max_life`.
    ///
    /// # Errors
    /// A name is empty, or the crypto fails its self-test.
    pub fn with_keys(issuer: &str, audience: &str, max_life: Duration, keys: Keyring) -> Result<Self, SetupError> {
        self_test()?;
        if issuer.is_empty() {
            return Err(SetupError::NoIssuer);
        }
        if audience.is_empty() {
            return Err(SetupError::NoAudience);
        }
        Ok(Self {
            keys,
            cache: C::IS_PRESENTED_OFTEN.then(Cache::new),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            max_life: max_life.as_secs(),
            kind: PhantomData,
        })
    }

    /// The claims of `token`, if it is to be believed at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The first of [`TokenError`]'s reasons that applies. Nothing of the claims is looked at before the signature.
    pub fn verify(&self, token: &str, now: u64) -> Result<C, TokenError> {
        let cache = self.cache.as_ref().zip(self.keys.generation());
        if let Some(claims) = cache.and_then(|(cache, generation)| cache.find(token, generation)) {
            check_issued(&claims, now)?;
            check_expiry(&claims, now)?;
            return Ok(claims);
        }
        let (claims, has_begin) = self.read(token, now)?;
        let life = claims.expires_at().checked_sub(claims.issued_at());
        if life.is_none_or(|life| life > self.max_life) {
            return Err(TokenError::LifeTooLong);
        }
        check_expiry(&claims, now)?;
        if let Some((cache, generation)) = cache.filter(|_| !has_begin) {
            cache.keep(token, generation, &claims);
        }
        Ok(claims)
    }

    /// As [`Verifier::verify`], but for a token that was ever good: its time may be over, and its life longer than is
    /// allowed by now. A late sign-out is one too.
    ///
    /// # Errors
    /// As there, less [`TokenError::Expired`] and [`TokenError::LifeTooLong`].
    pub fn verify_expired_too(&self, token: &str, now: u64) -> Result<C, TokenError> {
        self.read(token, now).map(|(claims, _)| claims)
    }

    /// The claims, and whether `nbf` is among them.
    fn read(&self, token: &str, now: u64) -> Result<(C, bool), TokenError> {
        let mut buffer = Buffer::default();
        let json = self.keys.open(token, C::TYP, &mut buffer)?;
        let members = Members::parse(json).map_err(|_| TokenError::MalformedClaims)?;
        self.check_parties(&members)?;
        let claims = C::read(&members)?;
        check_issued(&claims, now)?;
        check_begin(&members, now)?;
        Ok((claims, members.get("nbf").is_some()))
    }

    fn check_parties(&self, members: &Members<'_>) -> Result<(), TokenError> {
        if members.text("iss").ok_or(TokenError::Claim("iss"))? != self.issuer {
            return Err(TokenError::Issuer);
        }
        let named = match members.get("aud") {
            Some(Value::Text(one)) => *one == self.audience,
            Some(Value::Texts(all)) => all.iter().any(|one| *one == self.audience),
            _ => return Err(TokenError::Claim("aud")),
        };
        if named { Ok(()) } else { Err(TokenError::Audience) }
    }
}

fn check_issued(claims: &impl Claims, now: u64) -> Result<(), TokenError> {
    if claims.issued_at() > now.saturating_add(LEEWAY) { Err(TokenError::IssuedInFuture) } else { Ok(()) }
}

fn check_begin(members: &Members<'_>, now: u64) -> Result<(), TokenError> {
    match members.get("nbf") {
        Some(Value::Unsigned(begin)) if *begin <= now.saturating_add(LEEWAY) => Ok(()),
        Some(Value::Unsigned(_)) => Err(TokenError::NotYetValid),
        Some(_) => Err(TokenError::Claim("nbf")),
        None => Ok(()),
    }
}

fn check_expiry(claims: &impl Claims, now: u64) -> Result<(), TokenError> {
    if claims.expires_at().saturating_add(LEEWAY) <= now { Err(TokenError::Expired) } else { Ok(()) }
}
