//! Protection from other users of the machine: files that the process creates, files that it trusts, its memory.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, geteuid, setrlimit, umask};

/// Makes new files of this process readable by its user only, and disables core dumps, which would contain secrets.
/// Call it first.
pub fn keep_private() {
    umask(Mode::RWXG | Mode::RWXO);
    // One byte, not zero: a core dump piped to a program (core(5)) ignores zero. A lower limit stays.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
}

/// Opens a file that this process trusts: a regular file owned by this user or root, not writable by others. Symbolic
/// links are refused, because the owner of the link controls its target.
///
/// # Errors
/// It cannot be opened, or others can write it; the message names reason and remedy, without the path.
pub fn open_trusted(path: &Path) -> io::Result<File> {
    // Opening a FIFO would block.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link: put the file itself there")),
        Err(error) => return Err(error.into()),
    };
    let found = file.metadata()?;
    let user = geteuid().as_raw();
    if !found.is_file() {
        return Err(io::Error::other("it is no regular file: remove it, or put a file there"));
    }
    if found.uid() != user && found.uid() != 0 {
        let owner = found.uid();
        return Err(io::Error::other(format!("it belongs to user {owner}, not to user {user} or root: chown it")));
    }
    if found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("others can write it (mode {:03o}): chmod 600", found.mode() & 0o777)));
    }
    Ok(file)
}

/// True if other users can read the file.
pub(crate) fn is_readable_by_others(found: &Metadata) -> bool {
    found.mode() & 0o044 != 0
}
