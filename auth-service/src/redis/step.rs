use std::sync::OnceLock;

use redis::{Cmd, Script};

use super::shard::Shard;

/// A script: its SHA-1 for `EVALSHA`, and its source for a server that has not cached it.
pub struct Lua {
    source: &'static str,
    sha1: OnceLock<String>,
}

impl Lua {
    /// Creates a script from its source.
    pub(crate) const fn new(source: &'static str) -> Self {
        Self { source, sha1: OnceLock::new() }
    }
}

/// One run of a script, on keys of one slot.
pub struct Step {
    /// The script.
    pub script: &'static Lua,
    /// Its keys; at least one.
    pub keys: Vec<String>,
    /// The name of the function in the script.
    pub name: &'static str,
    /// The arguments of that function.
    pub arguments: Vec<String>,
    /// The shard whose replica must acknowledge the step too, if its master has any; `None` if the result need not
    /// survive a fail-over.
    pub replicated: Option<Shard>,
}

impl Step {
    pub(super) fn command(&self, with_source: bool, skew_ms: i64) -> Cmd {
        let Lua { source, sha1 } = self.script;
        let hash = || Script::new(source).get_hash().to_owned();
        let (name, script) = if with_source { ("EVAL", *source) } else { ("EVALSHA", &**sha1.get_or_init(hash)) };
        let mut command = redis::cmd(name);
        command.arg(script);
        command.arg(self.keys.len()).arg(&self.keys).arg(self.name).arg(skew_ms).arg(&self.arguments);
        command
    }
}
