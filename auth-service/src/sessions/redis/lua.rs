use std::sync::OnceLock;

use redis::{Cmd, Script};

/// A script, as Redis is told it the first time, and the name by which Redis knows it from then on.
pub(super) struct Lua {
    pub(super) source: &'static str,
    sha1: OnceLock<String>,
}

impl Lua {
    pub(super) const fn new(source: &'static str) -> Self {
        Self { source, sha1: OnceLock::new() }
    }

    pub(super) fn sha1(&self) -> &str {
        self.sha1.get_or_init(|| Script::new(self.source).get_hash().to_owned())
    }
}

/// A step of a script, on keys of one slot, one at least.
pub(super) struct Step {
    pub(super) script: &'static Lua,
    pub(super) keys: Vec<String>,
    pub(super) name: &'static str,
    pub(super) arguments: Vec<String>,
    /// Whether it is a promise that a fail-over must keep.
    pub(super) writes: bool,
}

impl Step {
    pub(super) fn command(&self, verb: &str, script: &str, skew_ms: i64) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(self.name).arg(skew_ms).arg(&self.arguments);
        command
    }
}
