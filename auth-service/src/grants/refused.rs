use std::time::Duration;

use shared_claims::TokenError;
use shared_service::database::StoreError;

use crate::counts::{LoginResult, RefreshResult};
use crate::limits::Throttled;
use crate::passwords::PoolError;
use crate::tokens::VerifiedRefreshToken;

/// The reason why a login opened no session.
#[derive(Debug, thiserror::Error)]
pub enum LoginRefused {
    /// There is no such account, it is disabled, or the password is another one.
    #[error("the user name or the password is wrong")]
    Wrong,
    /// Too many passwords were wrong before.
    #[error("to wait {0:?}")]
    Throttled(Duration),
    /// The password was not checked.
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
            Self::Throttled(_) => LoginResult::Throttled,
            Self::Pool(PoolError::Busy { .. }) => LoginResult::Busy,
            Self::Store(StoreError::Unavailable { .. }) => LoginResult::Unavailable,
            Self::Pool(_) | Self::Store(_) => LoginResult::Failed,
        }
    }
}

impl From<Throttled> for LoginRefused {
    fn from(throttled: Throttled) -> Self {
        match throttled {
            Throttled::Wait(wait) => Self::Throttled(wait),
            Throttled::Store(error) => Self::Store(error),
        }
    }
}

/// The reason why a refresh token was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It was never issued here, or it has expired. No store was asked.
    #[error("not proven: {0}")]
    InvalidToken(TokenError),
    /// Its session ended, expired, or never was.
    #[error("no such session")]
    UnknownSession(VerifiedRefreshToken),
    /// It had been used before (RFC 9700 section 4.14.2): the session ended.
    #[error("replayed")]
    Reused(VerifiedRefreshToken),
    /// Its user is disabled or gone: the session ended.
    #[error("the user is disabled or gone")]
    NoUser(VerifiedRefreshToken),
    /// A store is unavailable; what became of the session is not known.
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
