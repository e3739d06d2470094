use super::Settings;

/// Names used by other programs and tutorials, and the setting with the same purpose here.
const FOREIGN: [(&str, &[&str]); 16] = [
    (
        "ACCESS_TOKEN_SECRET",
        &["JWT_SECRET", "JWT_SECRET_KEY", "JWT_ACCESS_SECRET", "ACCESS_SECRET", "TOKEN_SECRET", "SECRET_KEY"],
    ),
    ("REFRESH_TOKEN_SECRET", &["JWT_REFRESH_SECRET", "REFRESH_SECRET"]),
    ("ACCESS_TOKEN_TTL", &["JWT_EXPIRES_IN", "JWT_EXPIRATION", "ACCESS_TOKEN_EXPIRES_IN", "ACCESS_TOKEN_EXPIRY"]),
    ("REFRESH_TOKEN_TTL", &["JWT_REFRESH_EXPIRES_IN", "REFRESH_TOKEN_EXPIRES_IN", "REFRESH_TOKEN_EXPIRY"]),
    ("TOKEN_ISSUER", &["JWT_ISSUER"]),
    ("AUTH_ADDR", &["PORT"]),
    ("BOOKS_ADDR", &["PORT"]),
    ("AUTH_DATABASE_URL", &["DATABASE_URL", "DB_URL", "MONGO_URI", "MONGO_URL", "MONGODB_URI", "MONGODB_URL"]),
    ("BOOKS_DATABASE_URL", &["DATABASE_URL", "DB_URL", "MONGO_URI", "MONGO_URL", "MONGODB_URI", "MONGODB_URL"]),
    ("REDIS_URL", &["REDIS_HOST"]),
    ("BCRYPT_COST", &["BCRYPT_ROUNDS", "BCRYPT_SALT_ROUNDS", "SALT_ROUNDS"]),
    ("PASSWORD_PEPPER", &["PEPPER"]),
    ("ALLOWED_ORIGINS", &["CORS_ORIGIN", "CORS_ORIGINS"]),
    ("TRUSTED_PROXIES", &["TRUST_PROXY"]),
    ("RUST_LOG", &["LOG_LEVEL"]),
    ("TLS_KEY", &["SSL_KEY"]),
];

impl Settings {
    /// Warnings about variables that resemble a setting but are none.
    pub(super) fn strangers(&self) -> impl Iterator<Item = String> {
        let files = self.hidden.keys().map(|name| format!("{name}_FILE"));
        let known: Vec<String> = self.specs.iter().map(|known| known.name.to_owned()).chain(files).collect();
        let names = self.values.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
        names.filter_map(move |name| {
            let meant = meant(name, &known)?;
            Some(format!("{} is set, but is no setting: did you mean {meant}?", name.escape_default()))
        })
    }
}

/// The settings that `name` is probably meant to be; `None` if it is a setting, or resembles none.
fn meant(name: &str, known: &[String]) -> Option<String> {
    if known.iter().any(|known| known == name) {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    let is_known = |name: &&str| known.iter().any(|known| known == name);
    let foreign = FOREIGN.iter().filter(|(_, names)| names.contains(&&*upper)).map(|(name, _)| *name).filter(is_known);
    // Only secrets have a `_FILE`, only signing keys a `_PREVIOUS`.
    let base = ["_FILE", "_PREVIOUS"].iter().find_map(|end| upper.strip_suffix(end)).filter(is_known);
    let found: Vec<&str> = foreign.chain(base).collect();
    if !found.is_empty() {
        return Some(found.join(" or "));
    }
    let slips = if upper.len() < 8 { 1 } else { 2 };
    let near = known.iter().map(|known| (strsim::osa_distance(&upper, known), known)).min()?;
    (near.0 <= slips).then(|| near.1.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_like_a_setting_is_named_with_the_setting() {
        let known = ["ACCESS_TOKEN_TTL", "ACCESS_TOKEN_SECRET", "ACCESS_TOKEN_SECRET_FILE", "WORKERS", "AUTH_ADDR"];
        let known = known.map(str::to_owned);
        for (name, expected, why) in [
            ("ACCESS_TOKEN_TLL", Some("ACCESS_TOKEN_TTL"), "another letter"),
            ("ACCES_TOKEN_TTL", Some("ACCESS_TOKEN_TTL"), "a letter short"),
            ("ACCESS_TOKEN_SERCET", Some("ACCESS_TOKEN_SECRET"), "two letters swapped"),
            ("ACCESS_TOKEN_SECRET_FIEL", Some("ACCESS_TOKEN_SECRET_FILE"), "its file"),
            ("ACCESS-TOKEN-TTL", Some("ACCESS_TOKEN_TTL"), "other hyphens"),
            ("access_token_ttl", Some("ACCESS_TOKEN_TTL"), "small letters"),
            ("AUTH_ADDR_FILE", Some("AUTH_ADDR"), "no file is read for it"),
            ("WORKER", Some("WORKERS"), "short"),
            ("PORT", Some("AUTH_ADDR"), "a tutorial's"),
            ("JWT_SECRET", Some("ACCESS_TOKEN_SECRET"), "a tutorial's"),
            ("JWT_REFRESH_SECRET", None, "of another service"),
            ("ACCESS_TOKEN_TTL", None, "a setting"),
            ("PATH", None, "of every program"),
            ("HOME", None, "of every program"),
            ("PWORKE", None, "too far from a short name"),
            ("POSTGRES_PASSWORD", None, "of another program"),
            ("AUTH_PORT_3000_TCP_ADDR", None, "made by Kubernetes"),
        ] {
            assert_eq!(meant(name, &known).as_deref(), expected, "{why}: {name}");
        }
    }
}
