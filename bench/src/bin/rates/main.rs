//! Requests per second and CPU time per request, compared with the least that actix-web needs. See `bench/README.md`.

mod ceiling;
mod load;
mod machine;
mod rows;
mod servers;
mod storm;

use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;

use crate::rows::{Row, rows};
use crate::servers::{ACCESS_SECRET, REFRESH_SECRET, Server, run_on};

type Failure = Box<dyn Error>;

const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Debug, Parser)]
enum Program {
    /// Measure, and print a table
    Measure(Options),
    /// Serve as the ceiling: do the least that actix-web must
    Ceiling { addr: SocketAddr, redis: String },
}

#[derive(Debug, clap::Args)]
struct Options {
    /// The folder of auth-service and books-service
    #[arg(long)]
    programs: PathBuf,
    /// An empty folder
    #[arg(long)]
    folder: PathBuf,
    /// Passes over all rows; the table has the median
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The time of a pass over a row, in seconds
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Measure only the rows whose text contains this, such as /token or storm
    #[arg(long, default_value = "")]
    only: String,
}

/// The servers of a run.
struct Servers {
    /// Kept so that Redis runs as long as the other servers.
    _redis: Server,
    ceiling: Server,
    /// A second ceiling: one takes the logins of a storm while the other is measured, as with the two services.
    hashing: Server,
    auth: Server,
    books: Server,
    many: Server,
    logged: Server,
    es256: [Server; 2],
}

#[actix_web::main]
async fn main() -> Result<(), Failure> {
    match Program::parse() {
        Program::Ceiling { addr, redis } => Ok(ceiling::serve(addr, &redis).await?),
        Program::Measure(options) => measure(&options),
    }
}

fn measure(options: &Options) -> Result<(), Failure> {
    let servers = Servers::start(options)?;
    let mut rows = rows(&servers)?;
    rows.retain(|row| row.work.contains(&options.only));
    for row in &mut rows {
        row.pass(WARM_UP)?;
        row.passes.clear();
    }
    for _ in 0..options.rounds {
        for row in &mut rows {
            row.pass(Duration::from_secs(options.seconds))?;
        }
    }
    print(&rows, &servers);
    if storm::WORK.contains(&options.only) {
        storm::print(&servers, options.rounds, Duration::from_secs(options.seconds))?;
    }
    println!("\n{}", machine::facts());
    Ok(())
}

impl Servers {
    fn start(options: &Options) -> Result<Self, Failure> {
        run_on(1)?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).current_dir(&options.folder);
        let redis = Server::start(&mut command, 1, |command, addr| {
            command.args(["--port", &addr.port().to_string()]);
        })?;
        let redis_url = format!("redis://{}", redis.addr);
        let program = std::env::current_exe()?;
        let ceiling = || {
            Server::start(Command::new(&program).arg("ceiling"), 0, |command, addr| {
                command.args([&addr.to_string(), &redis_url]);
            })
        };
        let (ceiling, hashing) = (ceiling()?, ceiling()?);
        let start = |program: &str, name: &str, own: &[(&str, &str)]| service(options, &redis_url, program, name, own);
        let auth = start("auth-service", "auth", &[])?;
        let follows = format!("http://{}", auth.addr);
        let books = start("books-service", "books", &[("AUTH_URL", &follows)])?;
        let many = start("books-service", "many", &[("AUTH_URL", &follows)])?;
        let logged = start("books-service", "logged", &[("AUTH_URL", &follows), ("RUST_LOG", "info")])?;
        let key = options.folder.join("key.pem");
        let mut keygen = Command::new(options.programs.join("auth-service"));
        let made = keygen.args(["keygen", "--algorithm", "ES256"]).arg(&key).stdout(Stdio::null()).status()?;
        made.success().then_some(()).ok_or("auth-service keygen failed")?;
        let signing = start("auth-service", "signing", &[("ACCESS_TOKEN_KEY_FILE", &key.to_string_lossy())])?;
        let follows = format!("http://{}", signing.addr);
        let jwks = format!("{follows}/.well-known/jwks.json");
        let own = [("AUTH_URL", &*follows), ("ACCESS_TOKEN_JWKS_URL", &jwks)];
        let verifying = start("books-service", "verifying", &own)?;
        Ok(Self { _redis: redis, ceiling, hashing, auth, books, many, logged, es256: [signing, verifying] })
    }
}

/// Starts a service with one worker on the first core. Its log is a file, because a terminal would be slower.
fn service(options: &Options, redis: &str, program: &str, name: &str, own: &[(&str, &str)]) -> Result<Server, Failure> {
    let mut command = Command::new(options.programs.join(program));
    command.env_clear().current_dir(&options.folder).stderr(File::create(options.folder.join(format!("{name}.log")))?);
    command.envs([("WORKERS", "1"), ("RUST_LOG", "warn"), ("DEMO_DATA", "true"), ("IP_RATE_LIMIT", "0")]);
    command.envs([("ACCOUNT_FAILURE_LIMIT", "0"), ("BCRYPT_COST", "10"), ("ACCESS_TOKEN_TTL", "1h")]);
    command.envs([("ACCESS_TOKEN_SECRET", ACCESS_SECRET), ("REFRESH_TOKEN_SECRET", REFRESH_SECRET)]);
    let database = format!("sqlite://{name}.db?mode=rwc");
    let (addr_setting, database_setting) = match program {
        "auth-service" => ("AUTH_ADDR", "AUTH_DATABASE_URL"),
        _ => ("BOOKS_ADDR", "BOOKS_DATABASE_URL"),
    };
    if program == "auth-service" {
        command.env("REDIS_URL", redis);
    }
    command.env(database_setting, database).envs(own.iter().copied());
    Ok(Server::start(&mut command, 0, |command, addr| {
        command.env(addr_setting, addr.to_string());
    })?)
}

fn print(rows: &[Row<'_>], servers: &Servers) {
    println!("| work | server | req/s | CPU µs a request | of the first |\n|---|---|--:|--:|--:|");
    for row in rows {
        let first = rows.iter().find(|first| first.work == row.work).unwrap_or(row);
        let ratios = first.passes.iter().zip(&row.passes).map(|(first, own)| first.0 / own.0);
        let (cpu, rate) = (median(row.passes.iter().map(|pass| pass.0)), median(row.passes.iter().map(|pass| pass.1)));
        println!("| {} | {} | {rate:.0} | {cpu:.1} | {:.2} |", row.work, row.who, median(ratios));
    }
    println!("\n| server | listens after, ms | peak memory, MB |\n|---|--:|--:|");
    let Servers { ceiling, auth, books, .. } = servers;
    for (who, server) in [("actix-web", ceiling), ("auth-service", auth), ("books-service", books)] {
        let memory = server.memory("VmHWM:");
        println!("| {who} | {:.0} | {memory:.1} |", server.started_in.as_secs_f64() * 1e3);
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
