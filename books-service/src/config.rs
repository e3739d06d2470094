use secrecy::ExposeSecret;
use shared_claims::Follow;
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
    /// `sqlite://…?mode=rwc` or `postgres://…`. It may hold a password.
    pub database_url: String,
    /// Whether a new library begins with the three demo books.
    pub demo_data: bool,
}

impl Config {
    /// Reads the service's settings. What is wrong is told by [`Settings::finish`], and then this is of no use.
    pub fn read(settings: &mut Settings) -> Self {
        Self {
            server: Self::server(settings),
            access: AccessSettings::read(settings),
            revocations: RevocationSettings::read(settings),
            auth_url: auth_url(settings),
            auth_public_url: auth_public_url(settings),
            web: settings.flag("WEB", true, "Serves the page for users at /, where AUTH_PUBLIC_URL is set"),
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
    if Follow::new(&*url).check().is_err() {
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
