use secrecy::ExposeSecret;
use shared_claims::Poller;
use shared_service::{AccessSettings, RevocationSettings, ServerOptions, Settings, origin};

/// All that can be set from outside.
#[derive(Clone)]
pub struct Config {
    /// Where to listen, and how.
    pub server: ServerOptions,
    /// Which access tokens to take.
    pub access: AccessSettings,
    /// How revocations are followed.
    pub revocations: RevocationSettings,
    /// Whose revocations are followed; nobody's, and then a token counts until its end.
    pub auth_url: Option<String>,
    /// The origin of auth-service as browsers reach it: the page at `/` is served where it is set.
    pub auth_public_url: Option<String>,
    /// Whether the page may be served.
    pub web: bool,
    /// The address of the public keys of access tokens; none where a secret alone verifies them.
    pub jwks_url: Option<String>,
    /// `sqlite://…?mode=rwc` or `postgres://…`. It may hold a password.
    pub database_url: String,
    /// Whether a new library begins with the three demo books.
    pub demo_data: bool,
}

impl Config {
    /// Reads the service's settings. What is wrong is told by [`Settings::finish`], and then this is of no use.
    pub fn read(settings: &mut Settings) -> Self {
        let access = AccessSettings::read(settings);
        let auth_url = auth_url(settings);
        let jwks_url = jwks_url(settings, auth_url.as_deref());
        AccessSettings::require_a_key(settings, jwks_url.is_some());
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

    /// Reads where the books are, and nothing else.
    pub fn database_url(settings: &mut Settings) -> String {
        let why = "Database of the books, sqlite://books.db?mode=rwc or postgres://user:password@host/database";
        settings.database_url("BOOKS_DATABASE_URL", why)
    }

    /// Reads the settings of the HTTP server alone.
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

/// It stands in a document and in a policy, so nothing that has a meaning there may be in it.
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

/// Beside a secret it has to be named: the server there can then sign any token.
fn jwks_url(settings: &mut Settings, auth_url: Option<&str>) -> Option<String> {
    let why = "Address of the public keys of access tokens; without a secret, AUTH_URL/.well-known/jwks.json";
    let named = settings.optional("ACCESS_TOKEN_JWKS_URL", why);
    if named.as_deref().is_some_and(|url| Poller::new(url).check().is_err()) {
        settings.wrong("ACCESS_TOKEN_JWKS_URL", "must look like https://auth.example.com/.well-known/jwks.json");
    }
    let of_auth = auth_url.filter(|_| !settings.is_set("ACCESS_TOKEN_SECRET"));
    named.or_else(|| of_auth.map(|url| format!("{}/.well-known/jwks.json", url.trim_end_matches('/'))))
}
