use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};

/// A user's role: a member reads; an admin also writes and manages users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", parse_err_fn = unknown, parse_err_ty = UnknownRole)]
pub enum Role {
    /// May read.
    Member,
    /// May read and write, and manages users.
    Admin,
}

/// The text is not the name of a role of the stack. A user with such a role has no rights.
#[derive(Debug, thiserror::Error)]
#[error("must be member or admin")]
pub struct UnknownRole;

impl Role {
    /// The name in tokens, databases and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

fn unknown(_: &str) -> UnknownRole {
    UnknownRole
}
