use std::fmt;
use std::path::{Path, PathBuf};

/// The kind of database at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file; `None` for a database in memory.
    Sqlite(Option<PathBuf>),
    /// A server.
    Postgres,
}

impl Kind {
    /// Parses the address without connecting.
    pub(crate) fn of(url: &str) -> Self {
        let Some(rest) = url.strip_prefix("sqlite:") else { return Self::Postgres };
        let path = rest.strip_prefix("//").unwrap_or(rest).split('?').next().unwrap_or_default();
        let in_memory = path == ":memory:" || rest.contains("mode=memory");
        Self::Sqlite((!in_memory && !path.is_empty()).then(|| PathBuf::from(path)))
    }

    /// The path of the file, if it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => file.as_deref(),
            Self::Postgres => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(Some(file)) => write!(f, "SQLite in {}", file.display()),
            Self::Sqlite(None) => f.write_str("SQLite in memory, gone with the process,"),
            Self::Postgres => f.write_str("Postgres"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_read_from_the_address() {
        for (url, expected) in [
            ("sqlite://auth.db?mode=rwc", Kind::Sqlite(Some("auth.db".into()))),
            ("sqlite:///data/auth.db", Kind::Sqlite(Some("/data/auth.db".into()))),
            ("sqlite:auth.db", Kind::Sqlite(Some("auth.db".into()))),
            ("sqlite::memory:", Kind::Sqlite(None)),
            ("sqlite://books?mode=memory", Kind::Sqlite(None)),
            ("sqlite:?mode=rwc", Kind::Sqlite(None)),
            ("postgres://user:password@host/database", Kind::Postgres),
        ] {
            assert_eq!(Kind::of(url), expected, "{url}");
        }
    }
}
