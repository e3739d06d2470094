use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Role, TokenError, json};

/// The claims of one kind of token, without `iss` and `aud`, which the signer adds and the verifier checks.
pub trait Claims: Clone + Serialize {
    /// The `typ` header of this kind of token (RFC 8725 section 3.11).
    const TYP: &'static str;

    /// True if clients present one token with many requests, so that caching its verification pays.
    const IS_PRESENTED_OFTEN: bool = false;

    /// Reads the claims from the members of a verified token.
    ///
    /// # Errors
    /// [`TokenError::Claim`] with the first claim that is missing or of another JSON type.
    fn read(members: &Map<String, Value>) -> Result<Self, TokenError>;

    /// `iat`, in seconds since 1970.
    fn issued_at(&self) -> u64;

    /// `exp`, in seconds since 1970.
    fn expires_at(&self) -> u64;
}

/// An access token, modelled on RFC 9068 (`typ` `at+jwt`, no `client_id`): the caller's identity and role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessClaims {
    /// The user's id.
    pub sub: String,
    /// The expiry time, in seconds since 1970.
    pub exp: u64,
    /// The time of issue, in seconds since 1970.
    pub iat: u64,
    /// The token's id.
    pub jti: String,
    /// The id of the session.
    pub sid: String,
    /// The user's name.
    pub username: String,
    /// The user's role; this service may not know it, see [`AccessClaims::known_role`].
    pub role: String,
}

impl AccessClaims {
    /// The role, if this service knows it. An unknown role has no rights.
    #[must_use]
    pub fn known_role(&self) -> Option<Role> {
        self.role.parse().ok()
    }
}

impl Claims for AccessClaims {
    const TYP: &'static str = "at+jwt";
    const IS_PRESENTED_OFTEN: bool = true;

    fn read(members: &Map<String, Value>) -> Result<Self, TokenError> {
        Ok(Self {
            sub: text(members, "sub")?,
            exp: unsigned(members, "exp")?,
            iat: unsigned(members, "iat")?,
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

/// A refresh token (`typ` `rt+jwt`, a type of ours): a session and one of its generations. It carries no role; the role
/// is read from the user store at each refresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefreshClaims {
    /// The user's id.
    pub sub: String,
    /// The expiry time, in seconds since 1970.
    pub exp: u64,
    /// The time of issue, in seconds since 1970.
    pub iat: u64,
    /// The token's id.
    pub jti: String,
    /// The id of the session.
    pub sid: String,
    /// The generation; each rotation increments it.
    #[serde(rename = "gen")]
    pub generation: u64,
}

impl Claims for RefreshClaims {
    const TYP: &'static str = "rt+jwt";

    fn read(members: &Map<String, Value>) -> Result<Self, TokenError> {
        Ok(Self {
            sub: text(members, "sub")?,
            exp: unsigned(members, "exp")?,
            iat: unsigned(members, "iat")?,
            jti: text(members, "jti")?,
            sid: text(members, "sid")?,
            generation: unsigned(members, "gen")?,
        })
    }

    fn issued_at(&self) -> u64 {
        self.iat
    }

    fn expires_at(&self) -> u64 {
        self.exp
    }
}

fn text(members: &Map<String, Value>, name: &'static str) -> Result<String, TokenError> {
    json::text(members, name).map(str::to_owned).ok_or(TokenError::Claim(name))
}

fn unsigned(members: &Map<String, Value>, name: &'static str) -> Result<u64, TokenError> {
    members.get(name).and_then(Value::as_u64).ok_or(TokenError::Claim(name))
}
