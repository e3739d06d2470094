//! The program as an operator uses it.

mod audit;
mod commands;
mod demo;
mod doctor;
mod encryption;
mod env_file;
mod keys;
mod migrations;
mod private;
mod serving;
mod tls;
mod token;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use crate::database::new_folder;
use crate::redis_server::until;
use crate::secrets;
use crate::service::{ACCESS_SECRET, GOOD, REFRESH_SECRET};

/// The working folder of an operator, and the settings in the environment of the program.
pub struct Desk {
    pub folder: PathBuf,
    settings: Vec<(&'static str, String)>,
}

impl Desk {
    pub fn new() -> Self {
        let settings = [
            ("AUTH_ADDR", "127.0.0.1:0"),
            ("AUTH_DATABASE_URL", "sqlite://auth.db?mode=rwc"),
            ("ACCESS_TOKEN_SECRET", ACCESS_SECRET),
            ("REFRESH_TOKEN_SECRET", REFRESH_SECRET),
            ("BCRYPT_COST", "4"),
        ];
        Self { folder: new_folder(), settings: settings.map(|(name, value)| (name, value.to_owned())).into() }
    }

    /// A desk without settings.
    fn bare() -> Self {
        let mut desk = Self::new();
        desk.settings.clear();
        desk
    }

    pub fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Writes `.env` with mode 600, whatever the umask of the tests is.
    fn env_file(&self, text: &str) {
        let mut file = OpenOptions::new();
        let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(self.folder.join(".env")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auth-service"));
        command.args(arguments).current_dir(&self.folder).env_clear().envs(self.settings.iter().map(|(n, v)| (n, v)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self.command(arguments).spawn().unwrap();
        // A command that needs no input may have ended by now.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        Ended::from(child.wait_with_output().unwrap())
    }

    pub fn serve(&self) -> Served {
        Served::of(self.command(&[]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// The result of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    #[track_caller]
    pub fn is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// A service in a process of its own.
pub struct Served {
    process: Child,
    addr: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Served {
    /// Waits until the process logs the address on which it listens.
    fn of(mut process: Child) -> Self {
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let addr = loop {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the service ended before it listened");
            if let Some((_, addr)) = line.trim_end().split_once("started on ") {
                // In a JSON line a quote follows the address.
                break addr.split('"').next().unwrap().parse().unwrap();
            }
        };
        let log = Arc::new(Mutex::new(String::new()));
        let rest = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in lines.lines() {
                *rest.lock().unwrap() += &(line.unwrap() + "\n");
            }
        });
        Self { process, addr, log, reader: Some(reader) }
    }

    /// Waits until the log contains `text`.
    pub async fn says(&self, text: &str) {
        until(&format!("the log says {text}"), async || self.log.lock().unwrap().contains(text)).await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits until the process ends, and returns its exit code and the rest of its log.
    pub async fn end(mut self) -> (Option<i32>, String) {
        let ended = async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    break status;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let status = timeout(Duration::from_secs(15), ended).await.expect("it ends");
        self.reader.take().unwrap().join().unwrap();
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        assert!(!secrets::is_in(&log), "a secret is in the log: {log}");
        (status.code(), log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(self.reader.take().map(JoinHandle::join));
        let rest = self.log.lock().unwrap();
        assert!(thread::panicking() || !secrets::is_in(&rest), "a secret is in the log: {rest}");
    }
}

fn head_of_login(length: usize) -> String {
    format!("POST /login HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n")
}

fn login_body(name: &str) -> String {
    format!(r#"{{"username":"{name}","password":"{GOOD}"}}"#)
}

/// The status of a login.
fn log_in(addr: SocketAddr, name: &str) -> u16 {
    let body = login_body(name);
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "{}Connection: close\r\n\r\n{body}", head_of_login(body.len())).unwrap();
    status(&mut stream)
}

fn status(stream: &mut TcpStream) -> u16 {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    std::str::from_utf8(&start[9..]).unwrap().parse().unwrap()
}
