//! The settings.

use secrecy::ExposeSecret;
use shared_claims::Secret;
use shared_service::{AccessSettings, RevocationSettings, ServerOptions, Settings};

use crate::access_keys::AccessKeys;
use crate::mail::{MailSettings, Smtp};
use crate::passwords::{COSTS, Pepper};
use crate::redis::RedisAddress;
use crate::sessions::Rules;

/// The name of this service in `aud`, the only one in a refresh token.
pub const AUDIENCE: &str = "auth-service";

/// The settings of the service.
pub struct Config {
    /// The HTTP server.
    pub server: ServerOptions,
    /// The stores of users and sessions.
    pub stores: StoreConfig,
    /// The signing and verification of access tokens.
    pub access: AccessSettings,
    /// The private key that signs access tokens, and those before and after it.
    pub access_keys: AccessKeys,
    /// The poller of the revocation list.
    pub revocations: RevocationSettings,
    /// The services that may accept an access token.
    pub access_audience: Vec<String>,
    /// The secret that signs refresh tokens; no other service has it.
    pub refresh_secret: Option<Secret>,
    /// The previous refresh secret.
    pub refresh_previous: Option<Secret>,
    /// Authenticates the services that introspect tokens; without it, none can.
    pub introspection_secret: Option<Secret>,
    /// Calls per minute and address on register, login and token; 0 disables the limit.
    pub ip_rate_limit: u32,
    /// Consecutive wrong passwords without a wait, per account and address; 0 disables the limit.
    pub account_failure_limit: u32,
    /// True to add the demo users of the tutorials.
    pub demo_data: bool,
    /// True if anyone may register.
    pub registration: bool,
}

/// The settings of the stores: everything that a command about users needs. Contains no signing secret.
pub struct StoreConfig {
    /// The database of users, and of sessions without Redis.
    pub database_url: String,
    /// The address of Redis for sessions; without it they are in the database.
    pub redis_url: Option<RedisAddress>,
    /// The lifetimes of sessions.
    pub rules: Rules,
    /// The bcrypt cost of new hashes.
    pub bcrypt_cost: u32,
    /// The secret applied to every password before bcrypt.
    pub pepper: Option<Pepper>,
    /// The mail server, and the links in mails.
    pub mail: MailSettings,
}

impl Config {
    /// Reads all settings; errors are reported by [`Settings::finish`].
    pub fn read(settings: &mut Settings) -> Self {
        let mut config = Self {
            server: Self::server(settings),
            stores: StoreConfig::read(settings),
            access: AccessSettings::read(settings),
            access_keys: AccessKeys::read(settings),
            revocations: RevocationSettings::read(settings),
            access_audience: Self::audience(settings),
            refresh_secret: settings.signing_secret(
                "REFRESH_TOKEN_SECRET",
                "Signs and verifies refresh tokens; only auth-service has it. Also REFRESH_TOKEN_SECRET_FILE",
            ),
            refresh_previous: settings.signing_secret(
                "REFRESH_TOKEN_SECRET_PREVIOUS",
                "The refresh secret before this one: still verified, never signed with",
            ),
            introspection_secret: settings.signing_secret(
                "INTROSPECTION_SECRET",
                "Lets services ask POST /introspect (RFC 7662); without it, that is 404. Also INTROSPECTION_SECRET_FILE",
            ),
            ip_rate_limit: settings.parsed(
                "IP_RATE_LIMIT",
                "300",
                "a number of calls, or 0",
                "Calls per minute and address to register, login and token; 0 disables the limit",
            ),
            account_failure_limit: settings.parsed(
                "ACCOUNT_FAILURE_LIMIT",
                "10",
                "a number of failures, or 0",
                "Wrong passwords in a row, per account and address, before the next attempt waits; 0 disables the limit",
            ),
            demo_data: settings.flag(
                "DEMO_DATA",
                false,
                "Adds john (admin), anna (member) and three books; for trying out",
            ),
            registration: settings.flag("REGISTRATION", true, "Lets anyone register; false: only admins add users"),
        };
        config.access.keys = config.access_keys.handle();
        config.server.cookies = true;
        config.check(settings);
        config
    }

    /// Reads only the audience of access tokens.
    pub fn audience(settings: &mut Settings) -> Vec<String> {
        let why = "Services that may accept an access token (aud)";
        settings.list("ACCESS_TOKEN_AUDIENCE", "auth-service,books-service", why)
    }

    /// Reads the settings of the HTTP server only.
    pub fn server(settings: &mut Settings) -> ServerOptions {
        ServerOptions::read(settings, "auth-service", ("AUTH_ADDR", "0.0.0.0:3000"), "AUTH_METRICS_ADDR")
    }

    /// Checks settings that depend on each other.
    fn check(&self, settings: &mut Settings) {
        let (current, previous) = (self.refresh_secret.as_ref(), self.refresh_previous.as_ref());
        settings.warn_of_same("REFRESH_TOKEN_SECRET_PREVIOUS", current, previous);
        if !self.access_audience.iter().any(|name| name == AUDIENCE) {
            settings
                .wrong("ACCESS_TOKEN_AUDIENCE", format!("must name {AUDIENCE}, whose /me and /users take the token"));
        }
        settings.require_secret("ACCESS_TOKEN_SECRET", settings.is_set("ACCESS_TOKEN_KEY"));
        settings.require_secret("REFRESH_TOKEN_SECRET", false);
        if !self.demo_data && self.stores.mail.smtp.as_ref().is_some_and(Smtp::is_log) {
            settings.wrong("SMTP_URL", "writes links that open accounts to the log: only with DEMO_DATA=true");
        }
        self.keep_secrets_apart(settings);
    }

    /// Services share the access secret: if it were also the refresh secret, each could sign refresh tokens.
    fn keep_secrets_apart(&self, settings: &mut Settings) {
        let refresh = [&self.refresh_secret, &self.refresh_previous];
        let access = [&self.access.secret, &self.access.previous];
        let same = |one: &Secret| access.into_iter().flatten().any(|two| one.same_as(two));
        if refresh.into_iter().flatten().any(same) {
            settings.wrong("REFRESH_TOKEN_SECRET", "is an access secret too; the two must differ, now and before");
        }
        let mut signing = refresh.into_iter().chain(access).flatten();
        if self.introspection_secret.as_ref().is_some_and(|secret| signing.any(|other| other.same_as(secret))) {
            settings.wrong("INTROSPECTION_SECRET", "signs tokens too; a service that only asks must not be able to");
        }
    }
}

impl StoreConfig {
    /// Reads the settings of the stores; errors are reported by [`Settings::finish`].
    pub fn read(settings: &mut Settings) -> Self {
        Self {
            database_url: Self::database_url(settings),
            redis_url: redis_url(settings),
            rules: rules(settings),
            bcrypt_cost: settings.read(
                "BCRYPT_COST",
                "12",
                "a number from 4 to 31",
                "Work factor of password hashes; one more doubles the time",
                |text| text.parse().ok().filter(|cost| COSTS.contains(cost)),
            ),
            pepper: pepper(settings),
            mail: MailSettings::read(settings),
        }
    }

    /// Reads the address of the users' database only.
    pub fn database_url(settings: &mut Settings) -> String {
        let why = "Database of the users, sqlite://auth.db?mode=rwc or postgres://user:password@host/database";
        settings.database_url("AUTH_DATABASE_URL", why)
    }
}

fn redis_url(settings: &mut Settings) -> Option<RedisAddress> {
    let why = "Store of the sessions: redis://host:6379, Sentinel or Cluster; without it, the database of the users";
    let url = settings.secret_address("REDIS_URL", why)?;
    url.expose_secret().parse().map_err(|why: &str| settings.wrong("REDIS_URL", why)).ok()
}

fn rules(settings: &mut Settings) -> Rules {
    Rules {
        refresh_ttl: settings.whole_seconds("REFRESH_TOKEN_TTL", "7d", "Lifetime of a session without a refresh"),
        max_age: settings.whole_seconds("SESSION_MAX_AGE", "30d", "Lifetime of a session in all"),
        grace: settings.duration(
            "REFRESH_GRACE",
            "10s",
            "Time in which a used refresh token still gets its successor; 0 is never",
        ),
        access_ttl: AccessSettings::ttl(settings),
    }
}

fn pepper(settings: &mut Settings) -> Option<Pepper> {
    let why = "Key of the HMAC of each password before bcrypt; keep it out of the database's reach";
    let text = settings.secret_text("PASSWORD_PEPPER", why)?;
    Pepper::parse(&text).map_err(|why| settings.wrong("PASSWORD_PEPPER", why)).ok()
}
