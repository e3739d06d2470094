use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;

use crate::Options;
use crate::chance::Chance;

/// The number of instances of auth-service.
pub const INSTANCES: usize = 3;

/// One Redis with persistence, and the instances of auth-service that share it.
pub struct Servers {
    pub redis: Server,
    pub instances: Vec<Server>,
    /// The instances' addresses.
    pub addresses: Vec<String>,
    folder: PathBuf,
}

/// A program on its own port, killed when dropped.
pub struct Server {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    settings: Vec<(String, String)>,
    folder: PathBuf,
    child: Option<Child>,
}

impl Servers {
    /// Starts all servers in a new folder.
    pub fn start(options: &Options) -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("soak-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder)?;
        let mut chance = Chance::new(Uuid::new_v4().as_u64_pair().0, 0);
        let redis_port = free_port(&mut chance)?;
        let arguments = format!("--bind 127.0.0.1 --port {redis_port} --appendonly yes --appendfsync always");
        let arguments = arguments.split(' ').chain(["--maxmemory-policy", "noeviction", "--save", ""]);
        let redis = Server::start("redis", Path::new("redis-server"), arguments, Vec::new(), &folder)?;
        let secrets = ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"].map(|name| (name, random_secret()));
        let (mut instances, mut addresses) = (Vec::new(), Vec::new());
        for index in 1..=INSTANCES {
            let address = format!("127.0.0.1:{}", free_port(&mut chance)?);
            let settings = [
                ("AUTH_ADDR", address.clone()),
                ("AUTH_DATABASE_URL", options.postgres.clone()),
                ("REDIS_URL", format!("redis://127.0.0.1:{redis_port}")),
                ("REFRESH_GRACE", format!("{}ms", options.grace().as_millis())),
                // An access token outlives the soak test, so that expiry is never the reason for a 401.
                ("ACCESS_TOKEN_TTL", "1d".to_owned()),
                ("BCRYPT_COST", "4".to_owned()),
                ("IP_RATE_LIMIT", "0".to_owned()),
                ("RUST_LOG", "warn,audit=error,shared_service::operations::server=info".to_owned()),
            ];
            let settings = settings.into_iter().chain(secrets.clone());
            let settings = settings.map(|(name, value)| (name.to_owned(), value)).collect();
            let program = fs::canonicalize(&options.auth_service)
                .map_err(|error| format!("{}: {error}", options.auth_service.display()))?;
            instances.push(Server::start(&format!("auth-{index}"), &program, [], settings, &folder)?);
            addresses.push(format!("http://{address}"));
        }
        Ok(Self { redis, instances, addresses, folder })
    }

    /// Ends all servers. With `keep`, keeps their logs and prints the folder.
    pub fn end(self, keep: bool) {
        let Self { redis, instances, folder, .. } = self;
        drop((redis, instances));
        if keep {
            eprintln!("soak: the logs are in {}", folder.display());
        } else {
            drop(fs::remove_dir_all(folder));
        }
    }
}

impl Server {
    fn start<'a>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
        settings: Vec<(String, String)>,
        folder: &Path,
    ) -> io::Result<Self> {
        let (name, program, folder) = (name.to_owned(), program.to_owned(), folder.to_owned());
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let mut server = Self { name, program, arguments, settings, folder, child: None };
        server.start_again()?;
        Ok(server)
    }

    /// Starts the program again with the files that its last run left.
    pub fn start_again(&mut self) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join(format!("{}.log", self.name)))?;
        let mut command = Command::new(&self.program);
        if !self.settings.is_empty() {
            command.env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        }
        command.args(&self.arguments).current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(File::try_clone(&log)?).stderr(log);
        let child = command.spawn().map_err(|error| named(&self.program, &error))?;
        self.child = Some(child);
        Ok(())
    }

    /// Kills the process with -9, and waits for its end.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Sends a signal. SIGSTOP stops the process without ending it, SIGCONT resumes it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match &self.child {
            Some(child) => kill_process(Pid::from_child(child), signal).map_err(Into::into),
            None => Ok(()),
        }
    }

    /// The exit status, if the process ended without a kill.
    pub fn ended(&mut self) -> io::Result<Option<String>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        Ok(child.try_wait()?.map(|status| format!("{}: {status}", self.name)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// A free port below the ephemeral ports of the kernel, so that no process takes it while its server is dead.
fn free_port(chance: &mut Chance) -> io::Result<u16> {
    for _ in 0..100 {
        let port = u16::try_from(20_000 + chance.below(12_000)).unwrap_or(u16::MAX);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free"))
}

fn random_secret() -> String {
    (0..4).map(|_| Uuid::new_v4().simple().to_string()).collect()
}

fn named(program: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", program.display()))
}
