use std::future::{Ready, ready};
use std::ops::Deref;
use std::time::SystemTime;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};

use crate::{AccessClaims, Problem, Role, TokenError, Verifier};

/// What the extractors ask: a verifier, and where tokens may stand. Put it into the application data as
/// `web::Data<Guard>`.
pub struct Guard {
    verifier: Verifier<AccessClaims>,
    extra_header: Option<HeaderName>,
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

impl Guard {
    /// Tokens are taken from `Authorization: Bearer` and from nowhere else.
    #[must_use]
    pub const fn new(verifier: Verifier<AccessClaims>) -> Self {
        Self { verifier, extra_header: None }
    }

    /// Takes a bare token from the header `name` too, for clients of an older system (`x-access-token`).
    #[must_use]
    pub fn also_from(mut self, name: Option<HeaderName>) -> Self {
        self.extra_header = name;
        self
    }

    fn admit(&self, request: &HttpRequest) -> Result<Member, Problem> {
        let claims = self.verifier.verify(self.token(request)?, now()).map_err(refused)?;
        let role = claims
            .known_role()
            .ok_or_else(|| Problem::insufficient_scope("The role in the token has no rights here"))?;
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
    fn token<'r>(&self, request: &'r HttpRequest) -> Result<&'r str, Problem> {
        let mut authorizations = request.headers().get_all(AUTHORIZATION);
        let bearer = authorizations.next().and_then(bearer);
        let extras =
            self.extra_header.iter().flat_map(|name| request.headers().get_all(name)).map(HeaderValue::as_bytes);
        let mut found = bearer.into_iter().chain(extras);
        match (found.next(), found.next().is_some() || authorizations.next().is_some()) {
            (_, true) => Err(Problem::invalid_token("The request carries more than one token")),
            (Some(one), false) => str::from_utf8(one).map_err(|_| refused(TokenError::Malformed)),
            (None, false) => Err(missing_token()),
        }
    }
}

/// What stands behind the scheme `Bearer`, in any case, and spaces alone (RFC 6750 section 2.1); another scheme brings
/// no token.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = value.as_bytes().split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME) && (rest.is_empty() || rest.starts_with(b" "));
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    is_bearer.then(|| &rest[spaces..])
}

#[expect(clippy::disallowed_methods, reason = "where a request meets the clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn missing_token() -> Problem {
    Problem::unauthorized("missing_token", "This needs an access token: Authorization: Bearer <token>.")
}

fn refused(error: TokenError) -> Problem {
    Problem::invalid_token(&error.to_string())
}

impl FromRequest for Member {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(guard) = request.app_data::<web::Data<Guard>>() else {
            log::error!("a route asks for a Member, but the application data holds no Guard");
            return ready(Err(Problem::internal()));
        };
        ready(guard.admit(request))
    }
}

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Member::from_request(request, payload).into_inner().and_then(|member| match member.role {
            Role::Admin => Ok(Self(member)),
            Role::Member => Err(Problem::insufficient_scope("This needs the role admin")),
        }))
    }
}

impl Deref for Admin {
    type Target = Member;

    fn deref(&self) -> &Member {
        &self.0
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The problem travels with the response, so that a middleware that knows the request id can write it in.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in self.headers() {
            response.insert_header((*name, value.as_str()));
        }
        let mut response = response.content_type(Self::MEDIA_TYPE).body(self.body(None));
        response.extensions_mut().insert(self.clone());
        response
    }
}
