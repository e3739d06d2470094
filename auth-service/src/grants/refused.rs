use shared_claims::TokenError;
use shared_service::database::StoreError;

use crate::counts::{LoginResult, RefreshResult};
use crate::limits::Throttled;
use crate::passwords::PoolError;
use crate::tokens::VerifiedRefreshToken;

/// The reason why a login opened no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginRefused {
    /// The account does not exist or is disabled, or the password is wrong.
    #[error("the user name or the password is wrong")]
    Wrong,
    /// There were too many wrong passwords before, or they cannot be counted.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The password was not verified.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A store is unavailable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoginRefused {
    pub(super) const fn result(&self) -> LoginResult {
        match self {
            Self::Wrong => LoginResult::Wrong,
            Self::Throttled(Throttled::Wait(_)) => LoginResult::Throttled,
            Self::Pool(PoolError::Busy { .. }) => LoginResult::Busy,
            Self::Throttled(Throttled::Store(StoreError::Unavailable { .. }))
            | Self::Store(StoreError::Unavailable { .. }) => LoginResult::Unavailable,
            Self::Pool(_) | Self::Throttled(_) | Self::Store(_) => LoginResult::Failed,
        }
    }
}

/// The reason why a refresh token was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The token is forged, malformed or expired, or lives too long. No store was changed.
    #[error("invalid token: {0}")]
    InvalidToken(TokenError),
    /// Its session ended, expired, or never existed.
    #[error("no such session")]
    UnknownSession(VerifiedRefreshToken),
    /// The token was used before (RFC 9700 section 4.14.2); the session has ended.
    #[error("reused")]
    Reused(VerifiedRefreshToken),
    /// Its user is disabled or deleted; the session has ended.
    #[error("the user is disabled or gone")]
    NoUser(VerifiedRefreshToken),
    /// A store is unavailable; the state of the session is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refused {
    pub(super) const fn result(&self) -> RefreshResult {
        match self {
            Self::InvalidToken(_) => RefreshResult::Unproven,
            Self::UnknownSession(_) => RefreshResult::Gone,
            Self::Reused(_) => RefreshResult::Replayed,
            Self::NoUser(_) => RefreshResult::Disabled,
            Self::Store(StoreError::Unavailable { .. }) => RefreshResult::Unavailable,
            Self::Store(_) => RefreshResult::Failed,
        }
    }
}
