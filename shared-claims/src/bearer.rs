use std::ops::Deref;

use crate::{AccessClaims, ErrorCode, LEEWAY, Problem, Revocations, Role, TokenError, Verifier};

/// Authenticates requests with bearer access tokens (RFC 6750): a verifier, the headers that may carry a token, and the
/// revocation list. Independent of web frameworks; the features `actix` and `axum` add the adapters.
pub struct BearerAuth {
    verifier: Verifier<AccessClaims>,
    extra_header: Option<String>,
    revocations: Option<Revocations>,
    on_outcome: fn(&'static str),
}

/// The reason why a request is refused.
enum Refusal {
    NoToken,
    TwoTokens,
    Token(TokenError),
    /// The revocation list or the key set is too old, or was never read.
    Stale,
    NoRights,
}

/// An authenticated user of any role. As a handler's parameter it refuses requests without a valid access token.
///
/// Do not use it as `Option<Member>`: an invalid token is refused, not treated as an absent one.
#[derive(Clone, Debug)]
pub struct Member {
    /// The user's id (`sub`).
    pub user_id: String,
    /// The user's name.
    pub username: String,
    /// The user's role.
    pub role: Role,
    /// The session that the token belongs to (`sid`).
    pub session_id: String,
    /// The token's `iat`, in seconds since 1970.
    pub issued_at: u64,
    /// The token's `exp`, in seconds since 1970.
    pub expires_at: u64,
}

/// A [`Member`] whose role is admin. As a handler's parameter it refuses all other callers.
#[derive(Clone, Debug)]
pub struct Admin(pub Member);

impl BearerAuth {
    /// Accepts tokens from `Authorization: Bearer` only. Until [`BearerAuth::with_revocations`] is called, a token is
    /// valid until its `exp`, even after a logout.
    #[must_use]
    pub fn new(verifier: Verifier<AccessClaims>) -> Self {
        log::info!("access tokens are accepted that name the audience {}", verifier.audience());
        Self { verifier, extra_header: None, revocations: None, on_outcome: |_| () }
    }

    /// Also accepts a bare token from the header `name`, for clients of an older system (`x-access-token`).
    #[must_use]
    pub fn with_extra_header(mut self, name: Option<&str>) -> Self {
        self.extra_header = name.map(str::to_ascii_lowercase);
        self
    }

    /// Also refuses tokens that `revocations` lists.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// The possible outcomes of a check; see [`BearerAuth::on_outcome`].
    pub const OUTCOMES: [&str; 8] =
        ["ok", "missing", "expired", "revoked", "stale", "forbidden", "unknown_key", "invalid"];

    /// Calls `report` with the outcome of each request, one of [`BearerAuth::OUTCOMES`], and again if
    /// [`BearerAuth::recheck`] refuses the request. For counters.
    #[must_use]
    pub const fn on_outcome(mut self, report: fn(&'static str)) -> Self {
        self.on_outcome = report;
        self
    }

    /// Authenticates a request at `now` (seconds since 1970); `values` returns all values of the header with that
    /// lower-case name. For frameworks without an adapter here.
    ///
    /// # Errors
    /// 401 without a token, with more than one, or with an invalid or revoked one; 403 for a role without rights; 503
    /// if the token may be valid but the revocation list or the key set is stale.
    pub fn authenticate<'r, I: IntoIterator<Item = &'r [u8]>>(
        &self,
        values: impl Fn(&str) -> I,
        now: u64,
    ) -> Result<Member, Problem> {
        let decided = self.only_token(values).and_then(|token| self.decide(token, now));
        (self.on_outcome)(decided.as_ref().map_or_else(Refusal::outcome, |_| "ok"));
        decided.map_err(Problem::from)
    }

    /// Returns the access token of a request without verifying it: `None` if there is none, more than one, or one that
    /// is not UTF-8. `values` is that of [`BearerAuth::authenticate`].
    pub fn unverified_token<'r, I: IntoIterator<Item = &'r [u8]>>(
        &self,
        values: impl Fn(&str) -> I,
    ) -> Option<&'r str> {
        self.only_token(values).ok().filter(|token| !token.is_empty())
    }

    /// Checks an authenticated member again at `now` (seconds since 1970). A slow body or a password hash may delay a
    /// request so long after its head that the token expires or is revoked. Call this before writing. The extractors
    /// call it at the end of a body.
    ///
    /// # Errors
    /// 401 if the token has expired or is revoked; 503 if the revocation list is stale.
    pub fn recheck(&self, member: &Member, now: u64) -> Result<(), Problem> {
        let checked = if member.expires_at.saturating_add(LEEWAY) <= now {
            Err(Refusal::Token(TokenError::Expired))
        } else {
            self.check_revocations(&member.session_id, &member.user_id, member.issued_at)
        };
        checked.inspect_err(|refusal| (self.on_outcome)(refusal.outcome())).map_err(Problem::from)
    }

    /// The only token of the request. More than one is refused, in whichever headers they are (RFC 6750 section 2).
    fn only_token<'r, I: IntoIterator<Item = &'r [u8]>>(&self, values: impl Fn(&str) -> I) -> Result<&'r str, Refusal> {
        let mut authorizations = values("authorization").into_iter();
        let extras = self.extra_header.iter().flat_map(|name| values(name));
        let mut found = authorizations.next().and_then(bearer).into_iter().chain(extras);
        match (found.next(), found.next().is_some() || authorizations.next().is_some()) {
            (_, true) => Err(Refusal::TwoTokens),
            (Some(one), false) => str::from_utf8(one).map_err(|_| Refusal::Token(TokenError::Malformed)),
            (None, false) => Err(Refusal::NoToken),
        }
    }

    fn decide(&self, token: &str, now: u64) -> Result<Member, Refusal> {
        let admit = |claims: &AccessClaims| {
            self.check_revocations(&claims.sid, &claims.sub, claims.iat)?;
            member(claims)
        };
        let verified = self.verifier.verify_with(token, now, admit);
        verified.map_err(|error| match error {
            TokenError::KeysUnknown => Refusal::Stale,
            error => Refusal::Token(error),
        })?
    }

    /// Checks the revocation list. Entries of a stale list still apply: their tokens are 401, all others 503.
    fn check_revocations(&self, sid: &str, sub: &str, iat: u64) -> Result<(), Refusal> {
        match &self.revocations {
            Some(list) if list.is_revoked(sid, sub, iat) => Err(Refusal::Token(TokenError::Revoked)),
            Some(list) if list.is_stale() => Err(Refusal::Stale),
            _ => Ok(()),
        }
    }
}

fn member(claims: &AccessClaims) -> Result<Member, Refusal> {
    let role = claims.known_role().ok_or(Refusal::NoRights)?;
    Ok(Member {
        user_id: claims.sub.clone(),
        username: claims.username.clone(),
        role,
        session_id: claims.sid.clone(),
        issued_at: claims.iat,
        expires_at: claims.exp,
    })
}

/// The credentials after the scheme `Bearer`, which is case-insensitive and separated by spaces only (RFC 6750 section
/// 2.1); `None` for another scheme.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME) && (rest.is_empty() || rest.starts_with(b" "));
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    is_bearer.then(|| &rest[spaces..])
}

impl Refusal {
    const fn outcome(&self) -> &'static str {
        match self {
            Self::NoToken => "missing",
            Self::Token(TokenError::Expired) => "expired",
            Self::Token(TokenError::Revoked) => "revoked",
            Self::Token(TokenError::UnknownKey) => "unknown_key",
            Self::TwoTokens | Self::Token(_) => "invalid",
            Self::Stale => "stale",
            Self::NoRights => "forbidden",
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoToken => Self::new(ErrorCode::MissingToken),
            Refusal::TwoTokens => Self::invalid_token("The request carries more than one token"),
            Refusal::Token(error) => Self::invalid_token(&error.to_string()),
            Refusal::Stale => Self::unavailable(),
            Refusal::NoRights => Self::insufficient_scope("The role in the token has no rights here"),
        }
    }
}

impl TryFrom<Member> for Admin {
    type Error = Problem;

    /// Returns 403 for a member who is not an admin.
    fn try_from(member: Member) -> Result<Self, Problem> {
        match member.role {
            Role::Admin => Ok(Self(member)),
            Role::Member => Err(Problem::insufficient_scope("This needs the role admin")),
        }
    }
}

impl Deref for Admin {
    type Target = Member;

    fn deref(&self) -> &Member {
        &self.0
    }
}
