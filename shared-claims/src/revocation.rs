use serde::{Deserialize, Serialize};

/// An entry of the revocation list: tokens that are refused before their `exp`. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged, try_from = "Wire")]
pub enum Revocation {
    /// All tokens of one session.
    Session {
        /// The `sid` of the tokens.
        #[cfg_attr(feature = "openapi", schema(format = "uuid"))]
        sid: String,
        /// The time at which all of them have expired, so that the entry may be dropped.
        until: u64,
    },
    /// The tokens of one user that were issued before a time.
    Subject {
        /// The `sub` of the tokens.
        #[cfg_attr(feature = "openapi", schema(format = "uuid"))]
        sub: String,
        /// The earliest `iat` that is accepted.
        #[serde(rename = "notBefore")]
        not_before: u64,
        /// The time at which all of them have expired, so that the entry may be dropped.
        until: u64,
    },
}

/// The body of `GET /revocations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevocationList {
    /// Opaque: the `after` of the next request.
    pub cursor: String,
    /// The entries after the request's cursor; without a cursor, all entries that have not expired.
    pub entries: Vec<Revocation>,
}

/// An entry as received. Unknown members are ignored, but an unknown kind is an error: skipping it would accept a
/// revoked token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    sid: Option<String>,
    sub: Option<String>,
    not_before: Option<u64>,
    until: u64,
}

impl TryFrom<Wire> for Revocation {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, &'static str> {
        let until = wire.until;
        match (wire.sid, wire.sub, wire.not_before) {
            (Some(sid), None, None) => Ok(Self::Session { sid, until }),
            (None, Some(sub), Some(not_before)) => Ok(Self::Subject { sub, not_before, until }),
            _ => Err("a revocation is of a kind that is not known here"),
        }
    }
}
