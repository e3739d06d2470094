use serde::{Deserialize, Serialize};

/// Tokens that are worth nothing any more, before their `exp`. On the wire `{"sid": …, "until": …}` or
/// `{"sub": …, "notBefore": …, "until": …}`; all times are whole seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase", try_from = "Wire")]
pub enum Revocation {
    /// One session: all its tokens.
    Session {
        /// The session, as tokens name it.
        sid: String,
        /// From then on no token of it is alive, and the entry may be forgotten.
        until: u64,
    },
    /// One user: all tokens that were made before a moment.
    Subject {
        /// The user, as tokens name them.
        sub: String,
        /// A token counts only if its `iat` is this or later.
        not_before: u64,
        /// From then on no such token is alive, and the entry may be forgotten.
        until: u64,
    },
}

/// What `GET /revocations` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationList {
    /// What to ask with next time, as `after`, to be told only what is new. It means nothing to whoever asks.
    pub cursor: String,
    /// What was revoked since the cursor that was asked with; without one, all that is not over yet.
    pub entries: Vec<Revocation>,
}

/// An entry as it is read: an unknown member is ignored, but which kind it is must be beyond doubt, because whoever
/// skips an entry lets in whom it shuts out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    sid: Option<String>,
    sub: Option<String>,
    not_before: Option<u64>,
    until: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("a revocation is of a kind that is not known here")]
struct UnknownKind;

impl TryFrom<Wire> for Revocation {
    type Error = UnknownKind;

    fn try_from(wire: Wire) -> Result<Self, UnknownKind> {
        let until = wire.until;
        match (wire.sid, wire.sub, wire.not_before) {
            (Some(sid), None, None) => Ok(Self::Session { sid, until }),
            (None, Some(sub), Some(not_before)) => Ok(Self::Subject { sub, not_before, until }),
            _ => Err(UnknownKind),
        }
    }
}
