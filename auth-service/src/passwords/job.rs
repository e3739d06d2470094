use std::time::Instant;

use bcrypt_lanes::Attempt;
use tokio::sync::oneshot;

/// The reason why a job was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The queue is full, or the wait too long; the client may retry after this time.
    #[error("too many passwords are being hashed; try again in {retry_after_secs} s")]
    Busy {
        /// The estimated time until the queue is empty, 1 to 60.
        retry_after_secs: u64,
    },
    /// The job panicked, the system provided no random numbers, or the program is stopping.
    #[error("hashing failed: {0}")]
    Failed(String),
}

/// The index of the right attempt; `None` if all were wrong.
type Verdict = Result<Option<usize>, PoolError>;

/// Attempts that run in a lane one after the other. Other work is an iterator without attempts.
pub(super) struct Job {
    pub attempts: Box<dyn Iterator<Item = Attempt> + Send>,
    pub begun: usize,
    pub needs_thread: bool,
    pub start: Instant,
    /// `None` once the verdict is sent.
    pub reply: Option<oneshot::Sender<Verdict>>,
    /// Closed when the client has disconnected, and dropped after the last attempt.
    pub rest: oneshot::Sender<()>,
}

impl Job {
    pub(super) fn is_wanted(&self) -> bool {
        !self.rest.is_closed()
    }
}
