use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, query};

use crate::Failure;
use crate::load::{Connection, request};
use crate::servers::{ACCESS_SECRET, REFRESH_SECRET, Server, memory};

/// A kind of database.
pub enum Store {
    Sqlite,
    /// The address of a server.
    Postgres(String),
}

/// The programs, the files and the store of a run.
pub struct Place<'p> {
    pub programs: &'p Path,
    pub folder: &'p Path,
    pub store: Store,
}

/// The result of a command.
pub struct Ran {
    pub time: Duration,
    /// The peak memory, in megabytes.
    pub memory: f64,
}

impl Store {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "Postgres",
        }
    }
}

impl Place<'_> {
    /// The address of the database `name`, which is a file or on the server.
    pub fn database(&self, name: &str) -> String {
        match &self.store {
            Store::Sqlite => format!("sqlite://{}/{name}.db?mode=rwc", self.folder.display()),
            Store::Postgres(server) => {
                let (address, _) = server.rsplit_once('/').unwrap_or((server, ""));
                format!("{address}/scale_{name}")
            }
        }
    }

    /// Creates the empty database `name`.
    pub async fn create(&self, name: &str) -> Result<(), Failure> {
        sqlx::any::install_default_drivers();
        if let Store::Postgres(server) = &self.store {
            let mut connection = AnyConnection::connect(server).await?;
            for statement in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
                query(AssertSqlSafe(format!("{statement} scale_{name}"))).execute(&mut connection).await?;
            }
        }
        Ok(())
    }

    /// Deletes the database `name`.
    pub async fn drop(&self, name: &str) -> Result<(), Failure> {
        match &self.store {
            Store::Sqlite => {
                fs::remove_file(self.folder.join(format!("{name}.db")))?;
                for log in ["db-wal", "db-shm"] {
                    // A program that ended without a kill leaves no such file.
                    drop(fs::remove_file(self.folder.join(format!("{name}.{log}"))));
                }
            }
            Store::Postgres(server) => {
                let mut connection = AnyConnection::connect(server).await?;
                let statement = format!("DROP DATABASE scale_{name} WITH (FORCE)");
                query(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
        }
        Ok(())
    }

    /// Runs statements in the database `name`.
    pub async fn execute(&self, name: &str, statements: &[&str]) -> Result<(), Failure> {
        let mut connection = AnyConnection::connect(&self.database(name)).await?;
        for statement in statements {
            query(AssertSqlSafe(*statement)).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// Prepares a command of `program` with its settings.
    fn command(&self, program: &str) -> Result<Command, Failure> {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear().current_dir(self.folder);
        command.envs([("RUST_LOG", "warn,auth_service::passwords=error"), ("DEMO_DATA", "true"), ("BCRYPT_COST", "4")]);
        command.envs([("IP_RATE_LIMIT", "0"), ("ACCOUNT_FAILURE_LIMIT", "0"), ("ACCESS_TOKEN_TTL", "1h")]);
        command.envs([("ACCESS_TOKEN_SECRET", ACCESS_SECRET), ("REFRESH_TOKEN_SECRET", REFRESH_SECRET)]);
        let (setting, name) = match program {
            "auth-service" => ("AUTH_DATABASE_URL", "auth"),
            _ => ("BOOKS_DATABASE_URL", "books"),
        };
        command.env(setting, self.database(name)).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::options().append(true).create(true).open(self.folder.join(format!("{name}.log")))?);
        Ok(command)
    }

    /// Runs `program` with `arguments` to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Ran, Failure> {
        let began = Instant::now();
        let mut process = self.command(program)?.args(arguments).spawn()?;
        let mut most = 0.0;
        loop {
            // After the end of the process there is no reading; the last one counts.
            most = memory(process.id(), "VmHWM:").unwrap_or(most);
            if let Some(status) = process.try_wait()? {
                let ran = Ran { time: began.elapsed(), memory: most };
                return if status.success() {
                    Ok(ran)
                } else {
                    Err(format!("{program} {arguments:?}: {status}").into())
                };
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Starts `program`, and waits until it is ready; returns also the time until then.
    pub fn start(&self, program: &str) -> Result<(Server, Duration), Failure> {
        let setting = if program == "auth-service" { "AUTH_ADDR" } else { "BOOKS_ADDR" };
        let began = Instant::now();
        let server = Server::start(&mut self.command(program)?, 0, |command, addr| {
            command.env(setting, addr.to_string());
        })?;
        while !is_ready(server.addr)? {
            if began.elapsed() > Duration::from_mins(2) {
                return Err(format!("{program} is not ready after two minutes").into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok((server, began.elapsed()))
    }
}

fn is_ready(addr: SocketAddr) -> Result<bool, Failure> {
    if TcpStream::connect(addr).is_err() {
        return Ok(false);
    }
    let mut connection = Connection::open(addr)?;
    connection.send(&request("GET", "/readyz", "", ""))?;
    Ok(connection.receive()?.status == 200)
}

/// The access token and the refresh token of a login.
pub fn log_in(addr: SocketAddr, name: &str, password: &str) -> Result<[String; 2], Failure> {
    let mut connection = Connection::open(addr)?;
    connection.send(&request("POST", "/login", "", &json!({"username": name, "password": password}).to_string()))?;
    let response = connection.receive()?;
    let body: Value = serde_json::from_str(response.body)?;
    let token = |member: &str| body[member].as_str().map(str::to_owned);
    match [token("accessToken"), token("refreshToken")] {
        [Some(access), Some(refresh)] => Ok([access, refresh]),
        _ => Err(format!("a login is answered {}", response.status).into()),
    }
}
