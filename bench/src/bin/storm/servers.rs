//! Both services, each in its own process.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

pub struct Servers {
    pub auth: SocketAddr,
    pub books: SocketAddr,
    /// auth-service first.
    processes: [Child; 2],
}

impl Servers {
    pub async fn start(programs: &Path, folder: &Path) -> io::Result<Self> {
        let (auth, books) = (free()?, free()?);
        let settings = [
            ("AUTH_ADDR", auth.to_string()),
            ("BOOKS_ADDR", books.to_string()),
            ("AUTH_DATABASE_URL", "sqlite://auth.db?mode=rwc".to_owned()),
            ("BOOKS_DATABASE_URL", "sqlite://books.db?mode=rwc".to_owned()),
            ("ACCESS_TOKEN_SECRET", "an access secret of the storm, of 32 bytes and more".to_owned()),
            ("REFRESH_TOKEN_SECRET", "a refresh secret of the storm, of 32 bytes and more".to_owned()),
            ("ACCESS_TOKEN_TTL", "1h".to_owned()),
            ("DEMO_DATA", "true".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
            ("IP_RATE_LIMIT", "0".to_owned()),
            ("ACCOUNT_FAILURE_LIMIT", "0".to_owned()),
        ];
        let start = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.current_dir(folder).env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
        };
        let servers = Self { auth, books, processes: [start("auth-service")?, start("books-service")?] };
        for addr in [auth, books] {
            for _ in 0..200 {
                if TcpStream::connect(addr).await.is_ok() {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(servers)
    }

    /// The resident memory of auth-service.
    pub fn auth_memory_mib(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.processes[0].id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib / 1024).ok_or_else(|| io::Error::other("/proc does not show the memory"))
    }
}

pub fn url(addr: SocketAddr, path: &str) -> String {
    format!("http://{addr}{path}")
}

impl Drop for Servers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Both may fail, because the process may have ended already.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

fn free() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
