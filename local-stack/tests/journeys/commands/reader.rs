use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Folder, Program, file};
use crate::targets::{binary, variable};

/// A reader's checkout: `cargo run` starts the program that was built, and our programs are in the path.
pub struct Reader {
    pub folder: Folder,
    /// The blocks that have not been run yet.
    pub blocks: Vec<String>,
    pub settings: Vec<(&'static str, String)>,
}

impl Reader {
    pub fn new() -> Self {
        let text = format!("{}\n\n{}", file("README.md"), file("docs/runbook.md"));
        let blocks = text.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| block.starts_with("    "));
        let unindented = |line| str::strip_prefix(line, "    ").unwrap_or(line);
        let blocks = blocks.map(|block| {
            block
                .lines()
                .map(unindented)
                .flat_map(|line| {
                    [
                        line, "
",
                    ]
                })
                .collect()
        });
        let folder = Folder::new();
        let programs = binary("local-stack").parent().unwrap().to_owned();
        let cargo = format!(
            "#!/bin/sh\n[ \"$1 $2\" = 'run --bin' ] || exit 1\nprogram={}/$3\nshift 3\n[ \"${{1:-}}\" != -- ] || shift\n\
            echo $$ >>pids\nexec \"$program\" \"$@\"\n",
            programs.display()
        );
        fs::create_dir(folder.path().join("bin")).unwrap();
        let path = folder.path().join("bin/cargo");
        fs::write(&path, cargo).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}/bin:{}:{}", folder.path().display(), programs.display(), variable("PATH").unwrap());
        let settings = [
            ("PATH", path),
            ("no_proxy", "*".to_owned()),
            ("BCRYPT_COST", "4".to_owned()),
            ("AUTH_ADDR", "127.0.0.1:0".to_owned()),
            ("BOOKS_ADDR", "127.0.0.1:0".to_owned()),
        ];
        Self { folder, blocks: blocks.collect(), settings: settings.into() }
    }

    /// Removes and returns the block that contains `part`.
    pub fn take(&mut self, part: &str) -> String {
        let index = self.blocks.iter().position(|block| block.contains(part));
        self.blocks.remove(index.unwrap_or_else(|| panic!("no block has {part:?}")))
    }

    /// Starts servers with `script`.
    pub fn start(&self, script: &str) -> Program {
        let settings: Vec<(&str, &str)> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Program::start_with(&PathBuf::from("/bin/bash"), &["-euc", script], self.folder.path(), &settings)
    }

    /// Runs `script`; returns all that it prints.
    pub fn run(&self, script: &str, input: &str) -> String {
        let mut shell = Command::new("/bin/bash");
        shell.args(["-euc", script]).current_dir(self.folder.path()).env_clear().envs(self.settings.iter().cloned());
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(shell.stdin.take().unwrap().write_all(input.as_bytes()));
        let ended = shell.wait_with_output().unwrap();
        let text = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(ended.status.success(), "{script}: {text}");
        text
    }

    /// Runs each line of `block` as a script of its own.
    pub fn run_lines(&self, block: &str, input: &str) -> String {
        block.lines().map(|line| self.run(line, input)).collect()
    }

    /// Kills the programs that `cargo run` has started.
    pub fn stop(&self) {
        let pids = fs::read_to_string(self.folder.path().join("pids")).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            // An error is no failure: the program may have ended already.
            let _ = kill_process(pid, Signal::KILL);
        }
        drop(fs::remove_file(self.folder.path().join("pids")));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}
