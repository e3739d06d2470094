use serde::Serialize;

use crate::{Members, Role, TokenError};

/// What one kind of token says beside `iss` and `aud`, which its signer and its verifier are built with.
pub trait Claims: Clone + Serialize {
    /// The `typ` header that tells this kind from every other (RFC 8725 section 3.11).
    const TYP: &'static str;

    /// Whether one token is presented with many requests, so that it is worth to remember that it was verified.
    const IS_PRESENTED_OFTEN: bool = false;

    /// Takes the claims out of a proven token's members.
    ///
    /// # Errors
    /// [`TokenError::Claim`] names the first that is missing or of another JSON type.
    fn read(members: &Members<'_>) -> Result<Self, TokenError>;

    /// `iat`, in seconds since 1970.
    fn issued_at(&self) -> u64;

    /// `exp`, in seconds since 1970.
    fn expires_at(&self) -> u64;
}

/// An access token (RFC 9068): who is calling, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessClaims {
    /// The user's id.
    pub sub: String,
    /// When the token ends, in seconds since 1970.
    pub exp: u64,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// This token's own id.
    pub jti: String,
    /// The session it was made in.
    pub sid: String,
    /// The user's name.
    pub username: String,
    /// The user's role, perhaps one that this service does not know: see [`AccessClaims::known_role`].
    pub role: String,
}

impl AccessClaims {
    /// The role, if this service knows it. A role we do not know has no right to anything.
    #[must_use]
    pub fn known_role(&self) -> Option<Role> {
        self.role.parse().ok()
    }
}

impl Claims for AccessClaims {
    const TYP: &'static str = "at+jwt";
    const IS_PRESENTED_OFTEN: bool = true;

    fn read(members: &Members<'_>) -> Result<Self, TokenError> {
        Ok(Self {
            sub: text(members, "sub")?,
            exp: seconds(members, "exp")?,
            iat: seconds(members, "iat")?,
            jti: text(members, "jti")?,
            sid: text(members, "sid")?,
            username: text(members, "username")?,
            role: text(members, "role")?,
        })
    }

    fn issued_at(&self) -> u64 {
        self.iat
    }

    fn expires_at(&self) -> u64 {
        self.exp
    }
}

/// A refresh token: a session, and which of its generations the bearer holds. It says nothing of roles, which are read
/// from the user store at each use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefreshClaims {
    /// The user's id.
    pub sub: String,
    /// When the token ends, in seconds since 1970.
    pub exp: u64,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// This token's own id.
    pub jti: String,
    /// The session.
    pub sid: String,
    /// The generation: one more with each use.
    #[serde(rename = "gen")]
    pub generation: u64,
}

impl Claims for RefreshClaims {
    const TYP: &'static str = "rt+jwt";

    fn read(members: &Members<'_>) -> Result<Self, TokenError> {
        Ok(Self {
            sub: text(members, "sub")?,
            exp: seconds(members, "exp")?,
            iat: seconds(members, "iat")?,
            jti: text(members, "jti")?,
            sid: text(members, "sid")?,
            generation: members.unsigned("gen").ok_or(TokenError::Claim("gen"))?,
        })
    }

    fn issued_at(&self) -> u64 {
        self.iat
    }

    fn expires_at(&self) -> u64 {
        self.exp
    }
}

fn text(members: &Members<'_>, name: &'static str) -> Result<String, TokenError> {
    members.text(name).map(str::to_owned).ok_or(TokenError::Claim(name))
}

fn seconds(members: &Members<'_>, name: &'static str) -> Result<u64, TokenError> {
    members.unsigned(name).ok_or(TokenError::Claim(name))
}
