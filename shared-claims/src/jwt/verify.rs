use std::marker::PhantomData;
use std::time::Duration;

use serde_json::{Map, Value};

use super::cache::Cache;
use super::keyring::Keyring;
use super::read::Buffer;
use super::{Claims, Secret, SetupError, TokenError, self_test};
use crate::json::{parse_object, text};

/// The tolerated clock difference between two machines, in seconds.
pub const LEEWAY: u64 = 5;

/// The configuration of a verifier for tokens signed with a shared secret.
pub struct VerifierConfig<'a> {
    /// The required `iss`.
    pub issuer: &'a str,
    /// The name of this service, required in `aud`.
    pub audience: &'a str,
    /// The longest accepted lifetime, from `iat` to `exp`.
    pub max_life: Duration,
    /// The current signing secret.
    pub secret: &'a Secret,
    /// The previous signing secret, while tokens signed with it have not expired.
    pub previous: Option<&'a Secret>,
}

/// Verifies one kind of token locally, without a network call or a database query.
pub struct Verifier<C> {
    keys: Keyring,
    cache: Option<Cache<C>>,
    issuer: String,
    audience: String,
    max_life: u64,
    kind: PhantomData<fn() -> C>,
}

impl<C: Claims> Verifier<C> {
    /// Builds a verifier for HS256.
    ///
    /// # Errors
    /// A name is empty, or the crypto fails its self-test.
    pub fn new(config: &VerifierConfig<'_>) -> Result<Self, SetupError> {
        let keys = Keyring::new([config.secret].into_iter().chain(config.previous), None)?;
        Self::with_keys(config.issuer, config.audience, config.max_life, keys)
    }

    /// Builds a verifier for tokens of `issuer` for `audience`, signed with one of `keys`, that live no longer than
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

    /// The name of this service, which `aud` must contain.
    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    /// Verifies `token` at `now` (seconds since 1970) and returns its claims.
    ///
    /// # Errors
    /// The first reason of [`TokenError`] that applies. Claims are parsed only after the signature is verified.
    pub fn verify(&self, token: &str, now: u64) -> Result<C, TokenError> {
        self.verify_with(token, now, C::clone)
    }

    /// Verifies `token` and returns the result of `read` for its claims. The claims of a cached token are not cloned.
    pub(crate) fn verify_with<T>(&self, token: &str, now: u64, read: impl Fn(&C) -> T) -> Result<T, TokenError> {
        let cache = self.cache.as_ref().zip(self.keys.generation());
        let known = |claims: &C| {
            check_issued(claims, now)?;
            check_expiry(claims, now)?;
            Ok(read(claims))
        };
        if let Some(done) = cache.and_then(|(cache, generation)| cache.find(token, generation, known)) {
            return done;
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
        Ok(read(&claims))
    }

    /// As [`Verifier::verify`], but accepts expired tokens, and lifetimes above a maximum that was lowered meanwhile.
    /// For a logout, which may come late.
    ///
    /// # Errors
    /// As [`Verifier::verify`], without [`TokenError::Expired`] and [`TokenError::LifeTooLong`].
    pub fn verify_expired_too(&self, token: &str, now: u64) -> Result<C, TokenError> {
        self.read(token, now).map(|(claims, _)| claims)
    }

    /// Verifies all but expiry and lifetime. Returns the claims, and true if the token has `nbf`.
    fn read(&self, token: &str, now: u64) -> Result<(C, bool), TokenError> {
        let mut buffer: Buffer = [0; _];
        let json = self.keys.open(token, C::TYP, &mut buffer)?;
        let members = parse_object(json).ok_or(TokenError::MalformedClaims)?;
        self.check_parties(&members)?;
        let claims = C::read(&members)?;
        check_issued(&claims, now)?;
        check_begin(&members, now)?;
        Ok((claims, members.get("nbf").is_some()))
    }

    fn check_parties(&self, members: &Map<String, Value>) -> Result<(), TokenError> {
        if text(members, "iss").ok_or(TokenError::Claim("iss"))? != self.issuer {
            return Err(TokenError::Issuer);
        }
        let named: Option<Vec<_>> = match members.get("aud") {
            Some(Value::String(one)) => Some(vec![one.as_str()]),
            Some(Value::Array(all)) => all.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let named = named.ok_or(TokenError::Claim("aud"))?;
        if named.contains(&self.audience.as_str()) {
            return Ok(());
        }
        log::warn!(
            "a token for the audience {} is refused: this service is {}, which ACCESS_TOKEN_AUDIENCE of the issuer must name",
            named.join(" "),
            self.audience
        );
        Err(TokenError::Audience)
    }
}

fn check_issued(claims: &impl Claims, now: u64) -> Result<(), TokenError> {
    if claims.issued_at() > now.saturating_add(LEEWAY) { Err(TokenError::IssuedInFuture) } else { Ok(()) }
}

fn check_begin(members: &Map<String, Value>, now: u64) -> Result<(), TokenError> {
    let Some(begin) = members.get("nbf") else { return Ok(()) };
    let begin = begin.as_u64().ok_or(TokenError::Claim("nbf"))?;
    if begin > now.saturating_add(LEEWAY) { Err(TokenError::NotYetValid) } else { Ok(()) }
}

fn check_expiry(claims: &impl Claims, now: u64) -> Result<(), TokenError> {
    if claims.expires_at().saturating_add(LEEWAY) <= now { Err(TokenError::Expired) } else { Ok(()) }
}
