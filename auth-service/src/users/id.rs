use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use uuid::Uuid;

/// The id of a user: the text of a UUID, so that Postgres never gets a NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub(super) String);

impl UserId {
    /// A new id, which sorts after all earlier ones.
    pub(super) fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The text of the UUID.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Uuid::try_parse(text).map(|_| Self(text.to_owned())).map_err(|_| "must be a UUID")
    }
}

impl Deref for UserId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
