use secrecy::ExposeSecret;
use shared_claims::Poller;
use shared_service::{AccessSettings, RevocationSettings, ServerOptions, Settings, origin};

/// The settings of the service.
#[derive(Clone)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerOptions,
    /// The verification of access tokens.
    pub access: AccessSettings,
    /// The poller of the revocation list.
    pub revocations: RevocationSettings,
    /// The URL of auth-service, for the revocation list; without it, a token is valid until its `exp`.
    pub auth_url: Option<String>,
    /// The origin of auth-service as browsers reach it; the page at `/` needs it.
    pub auth_public_url: Option<String>,
    /// True if the page is served.
    pub web: bool,
    /// The URL of the public keys for access tokens; `None` if only a secret verifies them.
    pub jwks_url: Option<String>,
    /// `sqlite://…?mode=rwc` or `postgres://…`. May contain a password.
    pub database_url: String,
    /// True if a new library begins with the three demo books.
    pub demo_data: bool,
}

impl Config {
    /// Reads the service's settings. Errors are reported by [`Settings::finish`]; the result is then useless.
    pub fn read(settings: &mut Settings) -> Self {
        let access = AccessSettings::read(settings);
        let auth_url = auth_url(settings);
        let jwks_url = jwks_url(settings, auth_url.as_deref());
        settings.require_secret("ACCESS_TOKEN_SECRET", jwks_url.is_some());
        Self {
            server: Self::server(settings),
            access,
            revocations: RevocationSettings::read(settings),
            auth_public_url: auth_public_url(settings),
            web: settings.flag("WEB", true, "Serves the page for users at /, where AUTH_PUBLIC_URL is set"),
            auth_url,
            jwks_url,
            database_url: Self::database_url(settings),
            demo_data: settings.flag(
                "DEMO_DATA",
                false,
                "Adds john (admin), anna (member) and three books; for trying out",
            ),
        }
    }

    /// Reads the address of the database only.
    pub fn database_url(settings: &mut Settings) -> String {
        let why = "Database of the books, sqlite://books.db?mode=rwc or postgres://user:password@host/database";
        settings.database_url("BOOKS_DATABASE_URL", why)
    }

    /// Reads the settings of the HTTP server only.
    pub fn server(settings: &mut Settings) -> ServerOptions {
        ServerOptions::read(settings, "books-service", ("BOOKS_ADDR", "0.0.0.0:4000"), "BOOKS_METRICS_ADDR")
    }
}

fn auth_url(settings: &mut Settings) -> Option<String> {
    let why =
        "Address of auth-service for the revocation list, such as http://auth:3000; unset, tokens are valid until exp";
    let url = settings.secret_address("AUTH_URL", why)?.expose_secret().to_owned();
    if Poller::new(&*url).check().is_err() {
        settings
            .wrong("AUTH_URL", "must look like https://auth.example.com or http://auth:3000, and holds no password");
    }
    Some(url)
}

/// Reads an origin that is inserted into HTML and a CSP, so it must not contain characters with a meaning there.
fn auth_public_url(settings: &mut Settings) -> Option<String> {
    const NAME: &str = "AUTH_PUBLIC_URL";
    let why = "Origin of auth-service for browsers, such as https://auth.example; unset, no page is served at /";
    let text = settings.optional(NAME, why)?;
    let is_plain =
        |origin: &String| origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_[]".contains(&byte));
    let origin = origin(&text).ok().filter(is_plain);
    if origin.is_none() {
        settings.wrong(NAME, "must be scheme, host and port alone, such as https://auth.example");
    }
    origin
}

/// Reads the JWKS URL. If a secret is set, the URL has no default: the server at that URL can sign any token.
fn jwks_url(settings: &mut Settings, auth_url: Option<&str>) -> Option<String> {
    let why = "Address of the public keys of access tokens; without a secret, AUTH_URL/.well-known/jwks.json";
    let named = settings.optional("ACCESS_TOKEN_JWKS_URL", why);
    if named.as_deref().is_some_and(|url| Poller::new(url).check().is_err()) {
        settings.wrong("ACCESS_TOKEN_JWKS_URL", "must look like https://auth.example.com/.well-known/jwks.json");
    }
    let of_auth = auth_url.filter(|_| !settings.is_set("ACCESS_TOKEN_SECRET"));
    named.or_else(|| of_auth.map(|url| format!("{}/.well-known/jwks.json", url.trim_end_matches('/'))))
}
