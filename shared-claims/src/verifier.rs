use std::marker::PhantomData;
use std::time::Duration;

use crate::jws::{Buffer, Keys};
use crate::{Claims, Members, Secret, SelfTestFailed, TokenError, Value, self_test};

/// How far the clocks of two machines may differ, in seconds.
pub const LEEWAY: u64 = 5;

/// Whom a verifier believes, and for how long.
pub struct Trust<'a> {
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
    /// The HMAC takes no such key.
    #[error("the crypto does not take this secret")]
    Key,
    /// The crypto computes something else than it should.
    #[error(transparent)]
    SelfTest(#[from] SelfTestFailed),
}

/// Proves one kind of token, locally: no call, no store, no key set up per token.
pub struct Verifier<C> {
    keys: Keys,
    issuer: String,
    audience: String,
    max_life: u64,
    kind: PhantomData<fn() -> C>,
}

impl<C: Claims> Verifier<C> {
    /// A verifier that believes what `trust` says and nothing else.
    ///
    /// # Errors
    /// A name is empty, or the crypto fails its self-test.
    pub fn new(trust: &Trust<'_>) -> Result<Self, SetupError> {
        self_test()?;
        if trust.issuer.is_empty() {
            return Err(SetupError::NoIssuer);
        }
        if trust.audience.is_empty() {
            return Err(SetupError::NoAudience);
        }
        Ok(Self {
            keys: Keys::new(C::TYP, trust.secret, trust.previous).ok_or(SetupError::Key)?,
            issuer: trust.issuer.to_owned(),
            audience: trust.audience.to_owned(),
            max_life: trust.max_life.as_secs(),
            kind: PhantomData,
        })
    }

    /// The claims of `token`, if it is to be believed at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The first of [`TokenError`]'s reasons that applies. Nothing of the claims is looked at before the signature.
    pub fn verify(&self, token: &str, now: u64) -> Result<C, TokenError> {
        let claims = self.verify_expired_too(token, now)?;
        let life = claims.expires_at().checked_sub(claims.issued_at());
        if life.is_none_or(|life| life > self.max_life) {
            return Err(TokenError::LifeTooLong);
        }
        if claims.expires_at().saturating_add(LEEWAY) <= now {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// As [`Verifier::verify`], but for a token that was ever good: its time may be over, and its life longer than is
    /// allowed by now. Whoever signs out may do so late.
    ///
    /// # Errors
    /// As there, less [`TokenError::Expired`] and [`TokenError::LifeTooLong`].
    pub fn verify_expired_too(&self, token: &str, now: u64) -> Result<C, TokenError> {
        let mut buffer = Buffer::default();
        let json = self.keys.open(token, &mut buffer)?;
        let members = Members::parse(json).map_err(|_| TokenError::MalformedClaims)?;
        self.check_parties(&members)?;
        let claims = C::read(&members)?;
        check_beginning(&claims, &members, now)?;
        Ok(claims)
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

fn check_beginning(claims: &impl Claims, members: &Members<'_>, now: u64) -> Result<(), TokenError> {
    let latest = now.saturating_add(LEEWAY);
    if claims.issued_at() > latest {
        return Err(TokenError::IssuedInFuture);
    }
    match members.get("nbf") {
        Some(Value::Unsigned(begin)) if *begin <= latest => Ok(()),
        Some(Value::Unsigned(_)) => Err(TokenError::NotYetValid),
        Some(_) => Err(TokenError::Claim("nbf")),
        None => Ok(()),
    }
}
