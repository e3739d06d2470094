//! Redis servers of a test's own: one, a Cluster, or a master with replicas and Sentinels.

mod cluster;
mod sentinel;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::database::new_folder;

pub use self::cluster::Cluster;
pub use self::sentinel::Watched;

/// Longer than any step here takes; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The range of [`free_port`].
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 10_000;

/// Arguments that make Redis durable.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A `redis-server`.
pub struct Redis {
    process: Child,
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
}

impl Redis {
    /// Starts a durable server.
    pub async fn start() -> Self {
        Self::with(&DURABLE).await
    }

    /// Starts a server with these arguments, on a free port.
    pub async fn with(arguments: &[&str]) -> Self {
        Self::at(free_port(), arguments).await
    }

    /// Starts a server that accepts TLS only, with these files.
    pub async fn with_tls(certificate: &str, key: &str) -> Self {
        let port = free_port();
        let tls = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"];
        Self::at(port, &[&["--port", "0", "--tls-port", &port.to_string()], &tls[..]].concat()).await
    }

    async fn at(port: u16, arguments: &[&str]) -> Self {
        let folder = new_folder();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let process = spawn(port, &folder, &arguments);
        let redis = Self { process, port, folder, arguments };
        redis.up().await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.place())
    }

    /// The host and port.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server with SIGKILL.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.arguments);
        self.up().await;
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// A connection of the test, with these credentials.
    pub async fn raw(&self, credentials: &str) -> MultiplexedConnection {
        connect(&format!("redis://{credentials}{}", self.place())).await
    }

    /// The reply to a command, whose words are separated by spaces.
    pub async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let words: Vec<_> = command.split(' ').collect();
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut self.raw("").await).await.unwrap()
    }

    async fn up(&self) {
        until("it listens", async || TcpStream::connect(("127.0.0.1", self.port)).is_ok()).await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A connection with long timeouts: the driver's default limit for a response is half a second.
pub async fn connect(url: &str) -> MultiplexedConnection {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    Client::open(url).unwrap().get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// A free port whose Cluster bus port, 10,000 higher, is free, too. Both are below the kernel's range of ephemeral
/// ports. This process uses no port twice.
fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(Uuid::new_v4().as_fields().1 % PORTS));
    let free = |port: &u16| [*port, port + 10_000].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let ports = std::iter::repeat_with(|| FIRST_PORT + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS);
    ports.take(PORTS.into()).find(free).expect("a free port")
}

/// Waits until `condition` holds.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let holds = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, holds).await.unwrap_or_else(|_| panic!("timed out before this held: {what}"));
}
