//! The refresh token in a cookie, for pages in a browser: no script can read it, and no page of another site can use
//! it.
//!
//! A browser adds the cookie to any request that a page triggers. So a request with the cookie must come from an
//! allowed page, according to `Origin`, which pages cannot forge, and `Sec-Fetch-Site`, if the browser sends it.

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HOST, HeaderName, HeaderValue, ORIGIN};
use shared_claims::{ErrorCode, Problem};

/// The prefix makes the browser bind the cookie to this host and to TLS, or to localhost: no other host can set it.
const NAME: &str = "__Host-refresh_token";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The permission to use the cookie. It exists only for a request from an allowed page, or from a client without pages.
#[derive(Clone, Copy)]
pub(super) struct RefreshCookie(());

impl RefreshCookie {
    /// The permission for a login that asks for a cookie. A client that sends no `Origin` gets it too.
    ///
    /// # Errors
    /// The page is not allowed.
    pub(super) fn for_login(request: &HttpRequest, allowed: &[String]) -> Result<Self, Problem> {
        if request.headers().contains_key(ORIGIN) { Self::of_page(request, allowed) } else { Ok(Self(())) }
    }

    /// The permission, and the refresh token in the request's cookie, if it has one.
    ///
    /// # Errors
    /// The page is not allowed, or the request has no `Origin`.
    pub(super) fn from_request(request: &HttpRequest, allowed: &[String]) -> Result<Option<(Self, String)>, Problem> {
        let Some(token) = value(request, NAME) else { return Ok(None) };
        Ok(Some((Self::of_page(request, allowed)?, token.to_owned())))
    }

    /// The `Set-Cookie` value for `token` with this lifetime.
    #[expect(clippy::unused_self, reason = "it proves that the page may have it")]
    pub(super) fn set(self, token: &str, seconds: i64) -> String {
        format!("{NAME}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict; Secure")
    }

    /// The `Set-Cookie` value that deletes the cookie.
    pub(super) fn clear(self) -> String {
        self.set("", 0)
    }

    fn of_page(request: &HttpRequest, allowed: &[String]) -> Result<Self, Problem> {
        let origin = only(request, ORIGIN).ok_or_else(not_allowed)?;
        let site = request.headers().get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let host = only(request, HOST).unwrap_or_default();
        let at_home = site == Some(b"same-origin") && origin.split_once("://").is_some_and(|(_, place)| place == host);
        let near = matches!(site, None | Some(b"same-origin" | b"same-site"));
        if !(near && (at_home || allowed.iter().any(|one| one == origin))) {
            return Err(not_allowed());
        }
        Ok(Self(()))
    }
}

/// The value of a header that may occur once.
fn only(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    let mut values = request.headers().get_all(name);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The cookie `name`, if there is exactly one. Other cookies are ignored, even malformed ones.
fn value<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    let cookies = request.headers().get_all(COOKIE).flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    let named = |cookie: &'r [u8]| cookie.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    let mut values = cookies.filter_map(named);
    let value = values.next().filter(|value| !value.is_empty() && values.next().is_none())?;
    std::str::from_utf8(value).ok()
}

fn not_allowed() -> Problem {
    Problem::new(ErrorCode::OriginNotAllowed)
}
