//! The services, each in its own process, and their CPU time and memory.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

/// The folder of the programs, and the folder of their files.
pub struct Place {
    pub programs: PathBuf,
    pub folder: PathBuf,
}

/// One service.
pub struct Service {
    pub addr: SocketAddr,
    process: Child,
}

/// The CPU time that each thread of a service has had, in nanoseconds.
pub struct Cpu(HashMap<String, u64>);

impl Place {
    /// Starts an auth-service with the database `name`.
    pub async fn auth(&self, name: &str) -> io::Result<Service> {
        let addr = free()?;
        let own = [
            ("AUTH_ADDR", addr.to_string()),
            ("AUTH_DATABASE_URL", format!("sqlite://{name}?mode=rwc")),
            ("REFRESH_TOKEN_SECRET", "a refresh secret of the bench, of 32 bytes and more".to_owned()),
            ("BCRYPT_COST", "4".to_owned()),
            ("IP_RATE_LIMIT", "0".to_owned()),
        ];
        self.start("auth-service", addr, &own).await
    }

    /// Starts a books-service with the database `name`. It polls the revocation list of `follows`, if any.
    pub async fn books(&self, name: &str, follows: Option<&Service>) -> io::Result<Service> {
        let addr = free()?;
        let mut own =
            vec![("BOOKS_ADDR", addr.to_string()), ("BOOKS_DATABASE_URL", format!("sqlite://{name}?mode=rwc"))];
        own.extend(follows.map(|auth| ("AUTH_URL", format!("http://{}", auth.addr))));
        self.start("books-service", addr, &own).await
    }

    async fn start(&self, program: &str, addr: SocketAddr, own: &[(&str, String)]) -> io::Result<Service> {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder).env_clear().envs(own.iter().map(|(name, value)| (name, value)));
        command.env("ACCESS_TOKEN_SECRET", "an access secret of the bench, of 32 bytes and more");
        command.env("DEMO_DATA", "true").env("RUST_LOG", "warn,auth_service::passwords=error");
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let service = Service { addr, process };
        for _ in 0..200 {
            if TcpStream::connect(addr).await.is_ok() {
                return Ok(service);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(io::Error::other(format!("{program} does not listen")))
    }
}

impl Service {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The resident memory, in megabytes.
    pub fn memory(&self) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u32>().ok());
        kib.map(|kib| f64::from(kib) * 1024.0 / 1e6).ok_or_else(|| io::Error::other("/proc does not show the memory"))
    }

    /// Read from `schedstat`. `utime` and `stime` count in steps of 10 ms, which is a third of the limit for 30 s.
    pub fn cpu(&self) -> io::Result<Cpu> {
        let mut threads = HashMap::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let thread = thread?;
            // A thread that has ended meanwhile has no file.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let used = text.split(' ').next().and_then(|used| used.parse().ok());
            let used = used.ok_or_else(|| io::Error::other("/proc does not show the CPU time"))?;
            threads.insert(thread.file_name().to_string_lossy().into_owned(), used);
        }
        Ok(Cpu(threads))
    }
}

impl Cpu {
    /// The CPU time since `before` of the threads that still run.
    pub fn since(&self, before: &Self) -> Duration {
        let used = |(thread, now): (&String, &u64)| now.saturating_sub(before.0.get(thread).copied().unwrap_or(0));
        Duration::from_nanos(self.0.iter().map(used).sum())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both may fail, because the process may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn free() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
