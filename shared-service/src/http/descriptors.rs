use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The file descriptors reserved for databases, Redis, metrics and files; half of the limit, if that is less.
const OTHERS: u64 = 128;

/// The number of files, connections included, that the process may open after [`raise`].
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// The number of connections within [`limit`].
pub(crate) fn connections() -> usize {
    let limit = limit();
    usize::try_from(limit - OTHERS.min(limit / 2)).unwrap_or(usize::MAX)
}

/// Raises the soft limit of open files to the hard one.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        log::warn!("the limit of open files stays {}: {error}", current.unwrap_or(u64::MAX));
    }
}
