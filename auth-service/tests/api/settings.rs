use std::time::Duration;

use auth_service::config::Config;
use shared_claims::{Secret, SigningKey};
use shared_service::Settings;

use crate::database::new_folder;
use crate::service::{ACCESS_SECRET, REFRESH_SECRET};

const NEEDED: [(&str, &str); 3] = [
    ("AUTH_DATABASE_URL", "sqlite://auth.db"),
    ("ACCESS_TOKEN_SECRET", ACCESS_SECRET),
    ("REFRESH_TOKEN_SECRET", REFRESH_SECRET),
];

const SMTP: (&str, &str) = ("SMTP_URL", "smtps://mail.example.org");
const MAIL_FROM: (&str, &str) = ("MAIL_FROM", "no-reply@example.org");
const PUBLIC_URL: (&str, &str) = ("PUBLIC_URL", "https://auth.example.org");

/// Reads [`NEEDED`] overridden by `other`; an empty value counts as absent.
fn read(other: &[(&str, &str)]) -> Result<Config, String> {
    let mut settings = Settings::from_pairs(NEEDED.iter().chain(other).copied());
    let config = Config::read(&mut settings);
    settings.finish().map(|()| config).map_err(|error| error.to_string())
}

fn wrong(other: &[(&str, &str)]) -> String {
    read(other).err().unwrap_or_else(|| panic!("accepted: {other:?}"))
}

#[test]
fn unset_settings_have_the_documented_defaults() {
    let config = read(&[]).unwrap();
    assert_eq!(config.server.addr.to_string(), "0.0.0.0:3000");
    assert!(config.server.workers > 0 && config.server.allowed_origins.is_empty());
    assert_eq!(config.server.metrics, None, "metrics are off");
    assert_eq!((config.access.issuer.as_str(), config.access.ttl), ("auth-service", Duration::from_mins(15)));
    assert_eq!(config.access_audience, ["auth-service", "books-service"]);
    assert_eq!(config.stores.rules.refresh_ttl, Duration::from_hours(7 * 24));
    assert_eq!(config.stores.rules.max_age, Duration::from_hours(30 * 24));
    assert_eq!(config.stores.rules.grace, Duration::from_secs(10));
    assert_eq!(config.stores.bcrypt_cost, 12);
    assert!(config.stores.redis_url.is_none() && config.stores.pepper.is_none() && config.access.header.is_none());
    assert!(!config.demo_data);
}

#[test]
fn each_wrong_setting_is_told() {
    let tutorial = "yourAccessTokenSecret";
    let key = SigningKey::generate_pem("ES256").unwrap();
    let public = SigningKey::from_pem(&key).unwrap().public().unwrap().pem().unwrap();
    let [key, public] = [key, public].map(|pem| pem.trim_end().to_owned());
    let (twice, sec1) = (format!("{key}\n{public}"), key.replace(" PRIVATE", " EC PRIVATE"));
    let encrypted = key.replace(" PRIVATE", " ENCRYPTED PRIVATE");
    for (settings, expected, why) in [
        (&[("AUTH_DATABASE_URL", "")][..], "AUTH_DATABASE_URL is not set", "no database"),
        (&[("ACCESS_TOKEN_SECRET", "")], "ACCESS_TOKEN_SECRET is not set; make one with `auth-service keygen`", "none"),
        (&[("REFRESH_TOKEN_SECRET", "")], "REFRESH_TOKEN_SECRET is not set", "no refresh secret"),
        (&[("ACCESS_TOKEN_SECRET", tutorial)], "ACCESS_TOKEN_SECRET is a secret printed in a tutorial", "a tutorial's"),
        (
            &[("AUTH_DATABASE_URL", "mysql://root@localhost/auth")],
            "AUTH_DATABASE_URL must be sqlite:",
            "no such database",
        ),
        (&[("AUTH_METRICS_ADDR", "9100")], "AUTH_METRICS_ADDR must be an address such as", "a port alone"),
        (&[("REFRESH_TOKEN_SECRET", "short")], "REFRESH_TOKEN_SECRET is shorter than 32 bytes", "short"),
        (&[("REFRESH_TOKEN_SECRET", &format!("{REFRESH_SECRET}\n"))], "REFRESH_TOKEN_SECRET starts or ends", "frayed"),
        (&[("ACCESS_TOKEN_SECRET_PREVIOUS", "short")], "ACCESS_TOKEN_SECRET_PREVIOUS is shorter", "a short one before"),
        (&[("REFRESH_TOKEN_SECRET", ACCESS_SECRET)], "REFRESH_TOKEN_SECRET is an access secret too", "equal"),
        (
            &[("REFRESH_TOKEN_SECRET_PREVIOUS", ACCESS_SECRET)],
            "REFRESH_TOKEN_SECRET is an access",
            "equal to one before",
        ),
        (&[("ACCESS_TOKEN_SECRET_PREVIOUS", REFRESH_SECRET)], "REFRESH_TOKEN_SECRET is an access", "it was equal"),
        (&[("INTROSPECTION_SECRET", "short")], "INTROSPECTION_SECRET is shorter", "a short one"),
        (&[("INTROSPECTION_SECRET", REFRESH_SECRET)], "INTROSPECTION_SECRET signs tokens too", "equal"),
        (&[("ACCESS_TOKEN_KEY", ACCESS_SECRET)], "ACCESS_TOKEN_KEY is no PEM; make a key with", "a secret"),
        (&[("ACCESS_TOKEN_KEY", &encrypted)], "ACCESS_TOKEN_KEY is encrypted, and no start", "a password on it"),
        (&[("ACCESS_TOKEN_KEY", &sec1)], "ACCESS_TOKEN_KEY is not in PKCS#8: openssl pkcs8 -topk8", "SEC 1"),
        (&[("ACCESS_TOKEN_KEY", &public)], "ACCESS_TOKEN_KEY is a public key, which cannot sign", "a public key"),
        (&[("ACCESS_TOKEN_KEY", &key[..100])], "ACCESS_TOKEN_KEY is no key on P-256", "a broken one"),
        (&[("ACCESS_TOKEN_KEY_PREVIOUS", "key")], "ACCESS_TOKEN_KEY_PREVIOUS is no PEM", "no key before"),
        (&[("ACCESS_TOKEN_KEY_PREVIOUS", &twice)], "ACCESS_TOKEN_KEY_PREVIOUS holds one key twice", "both halves"),
        (
            &[("ACCESS_TOKEN_KEY", &key), ("ACCESS_TOKEN_KEY_PREVIOUS", &public)],
            "ACCESS_TOKEN_KEY_PREVIOUS holds the key of ACCESS_TOKEN_KEY, too",
            "the key itself",
        ),
        (
            &[("ACCESS_TOKEN_SECRET", ""), ("ACCESS_TOKEN_KEY_PREVIOUS", &key)],
            "ACCESS_TOKEN_SECRET is not set",
            "nothing signs",
        ),
        (&[("ACCESS_TOKEN_AUDIENCE", "books-service")], "ACCESS_TOKEN_AUDIENCE must name auth-service", "/me is ours"),
        (&[("ACCESS_TOKEN_AUDIENCE", ",")], "ACCESS_TOKEN_AUDIENCE must name auth-service", "nobody"),
        (&[("AUTH_ADDR", "localhost")], "AUTH_ADDR must be an address and a port, such as 127.0.0.1:8080", "no port"),
        (&[("ACCESS_TOKEN_TTL", "soon")], "ACCESS_TOKEN_TTL must be a time such as 10s, 15m, 12h or 7d", "no time"),
        (&[("ACCESS_TOKEN_TTL", "0")], "ACCESS_TOKEN_TTL must be whole seconds, one at least", "no life"),
        (&[("REFRESH_TOKEN_TTL", "1500ms")], "REFRESH_TOKEN_TTL must be whole seconds", "half a second"),
        (&[("SESSION_MAX_AGE", "0")], "SESSION_MAX_AGE must be whole seconds", "no life"),
        (&[("REFRESH_GRACE", "-1s")], "REFRESH_GRACE must be a time", "negative"),
        (&[("BCRYPT_COST", "3")], "BCRYPT_COST must be a number from 4 to 31", "too cheap"),
        (&[("BCRYPT_COST", "32")], "BCRYPT_COST must be a number from 4 to 31", "too dear"),
        (&[("PASSWORD_PEPPER", "salt")], "PASSWORD_PEPPER is shorter than", "a short pepper"),
        (&[("DEMO_DATA", "maybe")], "DEMO_DATA must be true or false", "no flag"),
        (&[("WORKERS", "-1")], "WORKERS must be a number", "negative"),
        (&[("WORKERS", "513")], "WORKERS must be a number, at most 512", "too many"),
        (&[("ACCESS_TOKEN_HEADER", "x access token")], "ACCESS_TOKEN_HEADER must be the name of a header", "no header"),
        (&[("ALLOWED_ORIGINS", "app.example")], "ALLOWED_ORIGINS", "no scheme"),
        (&[("ALLOWED_ORIGINS", "https://app.example/path")], "ALLOWED_ORIGINS", "a path"),
        (&[("ALLOWED_ORIGINS", "*")], "ALLOWED_ORIGINS", "everybody"),
        (&[("REDIS_URL", "localhost:6379")], "REDIS_URL", "no address"),
        (&[SMTP, MAIL_FROM], "PUBLIC_URL is not set, and mails need it", "no beginning for links"),
        (&[SMTP, PUBLIC_URL], "MAIL_FROM is not set, and mails need it", "no sender"),
        (&[("MAIL_FROM", "Tokens")], "MAIL_FROM must be an address such as", "a name alone"),
        (&[("PUBLIC_URL", "auth.example.org")], "PUBLIC_URL must be an address such as https://", "no scheme"),
        (
            &[("SMTP_URL", "smtp+plain://mail.example.org"), MAIL_FROM, PUBLIC_URL],
            "SMTP_URL must be smtps:// or smtp://: smtp+plain:// is not encrypted",
            "in clear to another machine",
        ),
        (
            &[("SMTP_URL", "log:"), MAIL_FROM, PUBLIC_URL],
            "SMTP_URL writes links that open accounts to the log: only with DEMO_DATA=true",
            "links in the log",
        ),
    ] {
        let message = wrong(settings);
        assert_eq!(message.lines().count(), 2, "{why}: {message}");
        assert!(message.lines().any(|line| line.trim().starts_with(expected)), "{why}: {message}");
        assert!(!message.contains(ACCESS_SECRET) && !message.contains(REFRESH_SECRET), "{why}: a secret is shown");
    }
}

#[test]
fn all_wrong_settings_are_reported_at_once() {
    let settings = [
        ("AUTH_DATABASE_URL", ""),
        ("ACCESS_TOKEN_SECRET", "access-secret"),
        ("REFRESH_TOKEN_SECRET", ""),
        ("BCRYPT_COST", "twelve"),
        ("REFRESH_GRACE", "a while"),
        ("DEMO_DATA", "perhaps"),
    ];
    let message = wrong(&settings);
    assert_eq!(message.lines().count(), 1 + settings.len(), "{message}");
    for (name, _) in settings {
        assert_eq!(message.lines().filter(|line| line.trim().starts_with(name)).count(), 1, "{name}: {message}");
    }
}

#[test]
fn secret_that_was_spelt_otherwise_than_meant_is_refused_by_name() {
    const URL: &str = "sqlite://auth.db?mode=rwc";
    let folder = new_folder();
    let path = folder.join("secret");
    for (setting, file, text) in [
        ("ACCESS_TOKEN_SECRET", "ACCESS_TOKEN_SECRET_FILE", "another secret, of 32 bytes and more"),
        ("PASSWORD_PEPPER", "PASSWORD_PEPPER_FILE", "a pepper of 32 bytes and even more"),
        ("REDIS_URL", "REDIS_URL_FILE", "redis://localhost:6379"),
        ("AUTH_DATABASE_URL", "AUTH_DATABASE_URL_FILE", URL),
        ("SMTP_URL", "SMTP_URL_FILE", "smtps://mailer:secret@mail.example.org"),
    ] {
        let at_path = [MAIL_FROM, PUBLIC_URL, (setting, ""), (file, path.to_str().unwrap())];
        std::fs::write(&path, format!("{text}\n")).unwrap();
        assert!(read(&at_path).is_ok(), "{setting}");
        for (text, expected, why) in [
            (format!("\u{feff}{text}\n"), "begins with a byte order mark: save", "Notepad"),
            (format!("\"{text}\"\n"), "is still in its quotes: remove them", "docker run --env-file"),
            (format!("'{text}'"), "is still in its quotes: remove them", "single ones"),
            (format!("{text}\r\n"), "starts or ends with white space", "CR LF"),
            (format!("{text} "), "starts or ends with white space", "a space"),
            (text.replace('e', "e\0"), "contains NUL, as a file in UTF-16 does", "UTF-16"),
            (text.replacen('e', "e\u{200b}", 1), "contains an invisible character, U+200B", "a web page"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let in_environment = [MAIL_FROM, PUBLIC_URL, (setting, text.trim_end_matches('\n'))];
            for settings in [&at_path[..], &in_environment] {
                let message = wrong(settings);
                assert_eq!(message.lines().count(), 2, "{why}: {message}");
                assert!(message.contains(&format!("\n  {setting} {expected}")), "{why}: {message}");
            }
        }
        std::fs::write(
            &path,
            [b"\xff\xfe", &*text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat(),
        )
        .unwrap();
        let message = wrong(&at_path);
        assert!(message.contains(&format!("{file} names {}, which is not UTF-8: save", path.display())), "{message}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let folder = new_folder();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (good, line) = (file("good", ACCESS_SECRET), file("line", &format!("{ACCESS_SECRET}\n")));
    let (empty, bytes, frayed) =
        (file("empty", ""), folder.join("bytes"), file("frayed", &format!("{ACCESS_SECRET} \n\n")));
    std::fs::write(&bytes, [0xff; 64]).unwrap();
    let absent = folder.join("absent").display().to_string();
    let same = Secret::parse(ACCESS_SECRET).unwrap();
    for path in [&good, &line] {
        let config = read(&[("ACCESS_TOKEN_SECRET", ""), ("ACCESS_TOKEN_SECRET_FILE", path)]).unwrap();
        assert!(config.access.secret.unwrap().same_as(&same));
    }
    for (settings, expected, why) in [
        (
            &[("ACCESS_TOKEN_SECRET_FILE", good.as_str())][..],
            "ACCESS_TOKEN_SECRET is set, and ACCESS_TOKEN_SECRET_FILE too",
            "both",
        ),
        (
            &[("ACCESS_TOKEN_SECRET", ""), ("ACCESS_TOKEN_SECRET_FILE", &absent)],
            "ACCESS_TOKEN_SECRET_FILE names",
            "absent",
        ),
        (
            &[("ACCESS_TOKEN_SECRET", ""), ("ACCESS_TOKEN_SECRET_FILE", &empty)],
            "ACCESS_TOKEN_SECRET is shorter",
            "empty",
        ),
        (
            &[("ACCESS_TOKEN_SECRET", ""), ("ACCESS_TOKEN_SECRET_FILE", &frayed)],
            "ACCESS_TOKEN_SECRET starts or ends",
            "frayed",
        ),
        (
            &[("ACCESS_TOKEN_SECRET", ""), ("ACCESS_TOKEN_SECRET_FILE", bytes.to_str().unwrap())],
            "ACCESS_TOKEN_SECRET_FILE names",
            "no text",
        ),
        (
            &[("REFRESH_TOKEN_SECRET", ""), ("REFRESH_TOKEN_SECRET_FILE", &good)],
            "REFRESH_TOKEN_SECRET is an access secret too",
            "equal",
        ),
        (&[("PASSWORD_PEPPER_FILE", &absent)], "PASSWORD_PEPPER_FILE names", "an absent pepper"),
    ] {
        let message = wrong(settings);
        assert_eq!(message.lines().count(), 2, "{why}: {message}");
        assert!(message.lines().any(|line| line.trim().starts_with(expected)), "{why}: {message}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
