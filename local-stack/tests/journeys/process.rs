use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use uuid::Uuid;

/// A timeout that is longer than any step takes; only a failing test reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A temporary folder, removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("journey-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The output of a program so far, line by line.
#[derive(Clone, Debug, Default)]
pub struct Output {
    pub out: Vec<String>,
    pub err: Vec<String>,
}

/// A running program, killed when dropped.
pub struct Program {
    child: Child,
    output: watch::Receiver<Output>,
    /// Texts that must not appear in its log.
    secrets: Vec<String>,
}

impl Program {
    /// Starts `binary` in `folder`, with these settings and no others.
    pub fn start(binary: &Path, folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_with(binary, &[], folder, settings)
    }

    /// Starts `binary` in `folder`, with these arguments, these settings and no others.
    pub fn start_with(binary: &Path, arguments: &[&str], folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(folder).env_clear().envs(settings.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, output) = watch::channel(Output::default());
        follow(child.stdout.take().unwrap(), sender.clone(), |output| &mut output.out);
        follow(child.stderr.take().unwrap(), sender, |output| &mut output.err);
        let secrets = settings.iter().filter(|(name, _)| name.contains("SECRET") && !name.ends_with("_FILE"));
        let secrets = secrets.map(|(_, value)| (*value).to_owned());
        // The passwords of the demo users, the prefix of a token and the prefix of a stored hash.
        let known = ["password123admin", "password123member", "eyJ0eXAiOiJ", "$2b$"].map(str::to_owned);
        Self { child, output, secrets: secrets.chain(known).collect() }
    }

    /// Waits until `find` finds something in the output of the program.
    pub async fn says<T>(&self, find: impl Fn(&Output) -> Option<T>) -> T {
        let mut output = self.output.clone();
        let found = tokio::time::timeout(PATIENCE, output.wait_for(|output| find(output).is_some())).await;
        if let Ok(Ok(output)) = &found {
            return find(output).unwrap();
        }
        panic!("the expected output never came: {:#?}", self.output.borrow())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for the end of the program. Returns its exit code, unless a signal killed it, and all its output.
    pub async fn end(mut self) -> (Option<i32>, Output) {
        let mut output = self.output.clone();
        let ended = tokio::time::timeout(PATIENCE, output.wait_for(|_| false)).await;
        assert!(ended.is_ok(), "the program does not end: {:#?}", self.output.borrow());
        let output = self.output.borrow().clone();
        (self.child.wait().unwrap().code(), output)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        let output = self.output.borrow();
        let leak = output.err.iter().find(|line| self.secrets.iter().any(|secret| line.contains(secret)));
        assert!(leak.is_none() || thread::panicking(), "the log contains a secret: {leak:?}");
    }
}

/// Reads `stream` to its end on a separate thread. The channel closes at the end of the stream.
fn follow(
    stream: impl Read + Send + 'static,
    output: watch::Sender<Output>,
    part: fn(&mut Output) -> &mut Vec<String>,
) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.send_modify(|output| part(output).push(line));
        }
    });
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A file in the root of the repository.
pub fn file(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
