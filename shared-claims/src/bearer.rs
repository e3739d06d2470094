use std::ops::Deref;

use crate::{AccessClaims, ErrorCode, LEEWAY, Problem, Revocations, Role, TokenError, Verifier};

/// What the extractors ask: a verifier, where tokens may stand, and what is revoked. It knows no web framework; how it is handed over
/// stands with the features `actix` and `axum`.
pub struct BearerAuth {
    verifier: Verifier<AccessClaims>,
    extra_header: Option<String>,
    revocations: Option<Revocations>,
    on_outcome: fn(&'static str),
}

/// Why somebody is not let in.
enum Refusal {
    NoToken,
    TwoTokens,
    Token(TokenError),
    /// What is revoked is not known any more, or the keys are not.
    Stale,
    NoRights,
}

/// Somebody who is signed in, whatever their role. In a handler's signature it means: refuse everybody else.
///
/// It is not for `Option<Member>`: a bad token is refused, never taken for no token.
#[derive(Clone, Debug)]
pub struct Member {
    /// The user's id (`sub`).
    pub user_id: String,
    /// The user's name.
    pub username: String,
    /// What they may do.
    pub role: Role,
    /// The session the token was made in (`sid`).
    pub session_id: String,
    /// When the token was made, in seconds since 1970.
    pub issued_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
}

/// A [`Member`] whose role is admin. In a handler's signature it means: refuse everybody else.
#[derive(Clone, Debug)]
pub struct Admin(pub Member);

impl BearerAuth {
    /// Tokens are taken from `Authorization: Bearer` and from nowhere else.
    #[must_use]
    pub const fn new(verifier: Verifier<AccessClaims>) -> Self {
        Self { verifier, extra_header: None, revocations: None, on_outcome: |_| () }
    }

    /// Takes a bare token from the header `name` too, for clients of an older system (`x-access-token`).
    #[must_use]
    pub fn with_extra_header(mut self, name: Option<&str>) -> Self {
        self.extra_header = name.map(str::to_ascii_lowercase);
        self
    }

    /// Refuses what is revoked, too.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// What may become of a token: see [`BearerAuth::on_outcome`].
    pub const OUTCOMES: [&str; 8] =
        ["ok", "missing", "expired", "revoked", "stale", "forbidden", "unknown_key", "invalid"];

    /// Calls `report` with one of [`BearerAuth::OUTCOMES`] for each request that is decided, and once more where
    /// [`BearerAuth::recheck`] refuses it; for counters.
    #[must_use]
    pub const fn on_outcome(mut self, report: fn(&'static str)) -> Self {
        self.on_outcome = report;
        self
    }

    /// The name of the one more header that may carry a token, in lower case.
    #[must_use]
    pub fn extra_header(&self) -> Option<&str> {
        self.extra_header.as_deref()
    }

    /// Who asks, at `now` (seconds since 1970): from the values of `Authorization` and those of the extra header, a value
    /// a header line. For frameworks that have no adapter here.
    ///
    /// # Errors
    /// 401 without a token, with two, with a bad or a revoked one; 503 where it would be good, but it is not known any more what is
    /// revoked or which keys count; 403 where its role has no rights.
    pub fn authenticate<'r>(
        &self,
        authorizations: impl IntoIterator<Item = &'r [u8]>,
        extras: impl IntoIterator<Item = &'r [u8]>,
        now: u64,
    ) -> Result<Member, Problem> {
        let decided = self.decide(authorizations, extras, now);
        (self.on_outcome)(decided.as_ref().map_or_else(Refusal::outcome, |_| "ok"));
        decided.map_err(Problem::from)
    }

    /// The access token of a request, not verified: `None` without one, with two, or where it is not text. The parameters
    /// are those of [`BearerAuth::authenticate`].
    pub fn unverified_token<'r>(
        authorizations: impl IntoIterator<Item = &'r [u8]>,
        extras: impl IntoIterator<Item = &'r [u8]>,
    ) -> Option<&'r str> {
        only_token(authorizations, extras).ok().filter(|token| !token.is_empty())
    }

    /// Asks again for a member that was let in, at `now` (seconds since 1970). A request may last long after its head: a slow body, a
    /// password to hash. Before it writes, its token may have expired or been revoked. Bodies are asked for by the extractors.
    ///
    /// # Errors
    /// 401 where the token has expired or is revoked; 503 where nobody knows any more what is revoked.
    pub fn recheck(&self, member: &Member, now: u64) -> Result<(), Problem> {
        let checked = if member.expires_at.saturating_add(LEEWAY) <= now {
            Err(Refusal::Token(TokenError::Expired))
        } else {
            self.check_revocations(&member.session_id, &member.user_id, member.issued_at)
        };
        checked.inspect_err(|refusal| (self.on_outcome)(refusal.outcome())).map_err(Problem::from)
    }

    fn decide<'r>(
        &self,
        authorizations: impl IntoIterator<Item = &'r [u8]>,
        extras: impl IntoIterator<Item = &'r [u8]>,
        now: u64,
    ) -> Result<Member, Refusal> {
        let claims = self.verifier.verify(only_token(authorizations, extras)?, now).map_err(|error| match error {
            TokenError::KeysUnknown => Refusal::Stale,
            error => Refusal::Token(error),
        })?;
        self.check_revocations(&claims.sid, &claims.sub, claims.iat)?;
        member(claims)
    }

    /// What is known to be revoked is refused even by a list that is too old to clear anybody.
    fn check_revocations(&self, sid: &str, sub: &str, iat: u64) -> Result<(), Refusal> {
        match &self.revocations {
            Some(list) if list.is_revoked(sid, sub, iat) => Err(Refusal::Token(TokenError::Revoked)),
            Some(list) if list.is_stale() => Err(Refusal::Stale),
            _ => Ok(()),
        }
    }
}

fn member(claims: AccessClaims) -> Result<Member, Refusal> {
    let role = claims.known_role().ok_or(Refusal::NoRights)?;
    Ok(Member {
        user_id: claims.sub,
        username: claims.username,
        role,
        session_id: claims.sid,
        issued_at: claims.iat,
        expires_at: claims.exp,
    })
}

/// The one token of the request. Two are refused, wherever they stand (RFC 6750 section 2).
fn only_token<'r>(
    authorizations: impl IntoIterator<Item = &'r [u8]>,
    extras: impl IntoIterator<Item = &'r [u8]>,
) -> Result<&'r str, Refusal> {
    let mut authorizations = authorizations.into_iter();
    let mut found = authorizations.next().and_then(bearer).into_iter().chain(extras);
    match (found.next(), found.next().is_some() || authorizations.next().is_some()) {
        (_, true) => Err(Refusal::TwoTokens),
        (Some(one), false) => str::from_utf8(one).map_err(|_| Refusal::Token(TokenError::Malformed)),
        (None, false) => Err(Refusal::NoToken),
    }
}

/// What stands behind the scheme `Bearer`, in any case, and spaces alone (RFC 6750 section 2.1); another scheme brings
/// no token.
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

    /// A member who is no admin gets 403.
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
