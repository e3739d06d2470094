use super::store_url::{StoreUrl, without_secrets};
use super::{SettingSpec, Settings};

impl Settings {
    /// All settings read so far, in that order, as `NAME=value`. Defaults are marked; secrets and passwords in
    /// addresses are masked.
    #[must_use]
    pub fn effective(&self) -> Vec<String> {
        self.specs.iter().map(|known| self.line(known)).collect()
    }

    fn line(&self, SettingSpec { name, default, .. }: &SettingSpec) -> String {
        match (self.hidden.get(name), self.raw(name)) {
            (Some(Some(masked)), _) => format!("{name}={masked}{}", self.source(name)),
            (Some(None), _) => format!("{name}=  # not set"),
            (None, Some(value)) => format!("{name}={value}"),
            (None, None) if default.is_empty() => format!("{name}=  # not set"),
            (None, None) => format!("{name}={default}  # default"),
        }
    }

    fn source(&self, name: &str) -> String {
        self.raw(&format!("{name}_FILE")).map_or_else(String::new, |path| format!("  # from {path}"))
    }
}

/// Masks every part of `address` that may be a password, even if the address is malformed.
pub(super) fn masked(address: &str) -> String {
    match address.split_once('?') {
        Some((file, query)) if file.starts_with("sqlite:") => format!("{file}?{}", without_secrets(query)),
        None if address.starts_with("sqlite:") => address.to_owned(),
        _ => match (address.parse::<StoreUrl>(), address.split_once("://")) {
            (Ok(url), _) => url.to_string(),
            (Err(_), Some((scheme, _))) => format!("{scheme}://***"),
            (Err(_), None) if address.contains([':', '=', '@', ' ', '?']) => "***".to_owned(),
            (Err(_), None) => address.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_an_address_is_shown() {
        for (address, shown) in [
            ("postgres://anna:p@ss@host/db?sslmode=require", "postgres://anna:***@host/db?sslmode=require"),
            (
                "postgres://anna@host/db?password=pass&sslpassword=x",
                "postgres://anna@host/db?password=***&sslpassword=***",
            ),
            ("postgres://anna:p?ss/w=rd@host/db", "postgres://***"),
            ("postgres://anna:p@s?s@host/db", "postgres://***"),
            ("postgres://anna:pa/ss@host/db", "postgres://***"),
            ("postgres://anna:pass/db", "postgres://***"),
            ("postgres://anna:12/ss@host/db", "postgres://***"),
            ("postgres://anna:12#ss@host/db", "postgres://***"),
            ("postgres://anna:12?ss@host/db", "postgres://***"),
            ("postgres://anna@host/db?password=p@ss", "postgres://***"),
            ("postgres://host/db?%70assword=pass&mode=rwc", "postgres://host/db?%70assword=***&mode=rwc"),
            ("postgres://host/db?sslmode=require?password=pass", "postgres://host/db?***"),
            ("postgres://host/db?host=x;password=pass", "postgres://host/db?***"),
            ("postgres://host/db?sslmode=require&password%3Dpass", "postgres://host/db?sslmode=require&***"),
            ("postgres://host/db?sslmode=password%3Dpass", "postgres://host/db?sslmode=***"),
            ("postgres://host/db;password=pass", "postgres://***"),
            ("postgres:anna:pass@host/db", "***"),
            ("postgres:host=h password=pass", "***"),
            ("postgres://[::1]:5432/db", "postgres://[::1]:5432/db"),
            ("postgres://[::1]/db", "postgres://[::1]/db"),
            ("redis://:pass@host:6379/0", "redis://:***@host:6379/0"),
            ("redis+sentinel://user:pass@one:1,two:2/master", "redis+sentinel://user:***@one:1,two:2/master"),
            ("http://auth:3000", "http://auth:3000"),
            ("sqlite://my books.db?mode=rwc", "sqlite://my books.db?mode=rwc"),
            ("sqlite:auth.db?mode=rwc", "sqlite:auth.db?mode=rwc"),
            ("redis://host", "redis://host"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(masked(address), shown);
        }
    }

    #[test]
    fn effective_settings_contain_no_secret() {
        let mut settings = Settings::from_pairs([
            ("LIMIT", "7"),
            ("KEY", "pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU"),
            ("PEPPER", "hush://hush@hush"),
            ("REDIS", "redis://:hush@host"),
        ]);
        settings.parsed::<u32>("LIMIT", "300", "a number", "");
        settings.duration("TTL", "15m", "");
        settings.optional("HEADER", "");
        settings.signing_secret("KEY", "");
        settings.signing_secret("KEY_PREVIOUS", "");
        settings.secret_text("PEPPER", "");
        settings.secret_address("REDIS", "");
        assert_eq!(
            settings.effective(),
            [
                "LIMIT=7",
                "TTL=15m  # default",
                "HEADER=  # not set",
                "KEY=***  # set, kid Y99566o2rzM",
                "KEY_PREVIOUS=  # not set",
                "PEPPER=***  # set",
                "REDIS=redis://:***@host",
            ]
        );
    }
}
