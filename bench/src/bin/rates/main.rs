//! Requests a second and CPU time a request, beside the least that actix-web needs. See `bench/README.md`.

mod ceiling;
mod load;
mod servers;

use std::error::Error;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;

use crate::load::{Connection, load, request};
use crate::servers::{ACCESS_SECRET, REFRESH_SECRET, Server, run_on};

type Failure = Box<dyn Error>;

const WARM_UP: Duration = Duration::from_millis(500);
const LOGIN: &str = r#"{"username":"john","password":"password123admin"}"#;

#[derive(Debug, Parser)]
enum Program {
    /// Measure, and print a table
    Measure(Options),
    /// Serve as the ceiling
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
}

/// One line of the table.
struct Row<'a> {
    work: &'static str,
    who: &'static str,
    server: &'a Server,
    requests: Vec<String>,
    next: fn(&str) -> Option<String>,
    /// Microseconds of CPU a request, and requests a second.
    passes: Vec<(f64, f64)>,
}

/// The servers of a run.
struct Servers {
    /// Runs until the others have stopped.
    _redis: Server,
    ceiling: Server,
    auth: Server,
    books: Server,
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
        let ceiling = Server::start(Command::new(std::env::current_exe()?).arg("ceiling"), 0, |command, addr| {
            command.args([&addr.to_string(), &redis_url]);
        })?;
        let start = |program: &str, name: &str, own: &[(&str, &str)]| service(options, &redis_url, program, name, own);
        let auth = start("auth-service", "auth", &[])?;
        let follows = format!("http://{}", auth.addr);
        let books = start("books-service", "books", &[("AUTH_URL", &follows)])?;
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
        Ok(Self { _redis: redis, ceiling, auth, books, logged, es256: [signing, verifying] })
    }
}

/// A service with one worker on the first core. Its log is a file: a terminal would be slower.
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

fn rows(servers: &Servers) -> Result<Vec<Row<'_>>, Failure> {
    const BOOKS: &str = "`GET /books`, 3 books";
    const FORGED: &str = "`GET /books`, bad signature";
    const TOKEN: &str = "`POST /token`, rotation in Redis";
    const LOGIN_ROW: &str = "`POST /login`, bcrypt cost 10";
    let Servers { ceiling, auth, books, logged, es256: [signing, verifying], .. } = servers;
    let plain = tokens(ceiling.addr)?.0;
    let ours = tokens(auth.addr)?.0;
    let ecdsa = tokens(signing.addr)?.0;
    let get = |path: &str, token: &str| vec![request("GET", path, token, ""); 32];
    let row = |work, who, server, requests| Row { work, who, server, requests, next: |_| None, passes: Vec::new() };
    let mut rows = vec![
        row(BOOKS, "actix-web, ready bytes", ceiling, get("/bare", "")),
        row(BOOKS, "actix-web, verified", ceiling, get("/books", &plain)),
        row(BOOKS, "books-service", books, get("/books", &ours)),
        row(BOOKS, "with the access log", logged, get("/books", &ours)),
        row(BOOKS, "ES256", verifying, get("/books", &ecdsa)),
        row(FORGED, "actix-web, verified", ceiling, get("/books", &forged(&plain))),
        row(FORGED, "books-service", books, get("/books", &forged(&ours))),
    ];
    for (who, server) in [("actix-web, plain", ceiling), ("auth-service", auth)] {
        let chains = (0..16).map(|_| Ok(refresh(&tokens(server.addr)?.1)));
        let requests = chains.collect::<Result<_, Failure>>()?;
        rows.push(Row { next: |body| member(body, "refreshToken").map(refresh), ..row(TOKEN, who, server, requests) });
    }
    for (who, server) in [("actix-web, plain", ceiling), ("auth-service", auth)] {
        rows.push(row(LOGIN_ROW, who, server, vec![request("POST", "/login", "", LOGIN); 4]));
    }
    Ok(rows)
}

/// The access token and the refresh token of a login.
fn tokens(addr: SocketAddr) -> Result<(String, String), Failure> {
    let mut connection = Connection::open(addr)?;
    connection.send(&request("POST", "/login", "", LOGIN))?;
    let response = connection.receive()?;
    let token = |name| member(response.body, name).map(str::to_owned).ok_or("a login was answered without a token");
    Ok((token("accessToken")?, token("refreshToken")?))
}

fn refresh(token: &str) -> String {
    request("POST", "/token", "", &format!(r#"{{"token":"{token}"}}"#))
}

/// The text of the member `name` of a JSON object.
fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    json.split_once(&format!(r#""{name}":""#))?.1.split('"').next()
}

/// The same token with another signature of the same length.
fn forged(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap_or_default();
    let changed = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{message}.{changed}{}", signature.get(1..).unwrap_or_default())
}

impl Row<'_> {
    fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        let before = self.server.cpu()?;
        let load = load(self.server.addr, &mut self.requests, time, self.next)?;
        if load.failures > 0 {
            return Err(format!("{}, {}: {} wrong answers", self.work, self.who, load.failures).into());
        }
        let (used, responses) = (self.server.cpu()?.saturating_sub(before), f64::from(load.responses));
        self.passes.push((used.as_secs_f64() * 1e6 / responses, responses / load.time.as_secs_f64()));
        Ok(())
    }
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
        let memory = server.peak_memory().unwrap_or(f64::NAN);
        println!("| {who} | {:.0} | {memory:.1} |", server.started_in.as_secs_f64() * 1e3);
    }
    println!("\n{}", machine());
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The facts of the machine on which the ratios were measured.
fn machine() -> String {
    let line = |file: &str, start: &str| {
        let text = fs::read_to_string(Path::new("/proc").join(file)).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix(start))
            .unwrap_or("?")
            .trim_start_matches([' ', '\t', ':'])
            .to_owned()
    };
    let cores = fs::read_to_string("/proc/cpuinfo").unwrap_or_default().matches("processor\t").count();
    let (model, memory, load) = (line("cpuinfo", "model name"), line("meminfo", "MemTotal:"), line("loadavg", ""));
    format!("{model}, {cores} cores, {memory}, Linux {}; load average {load}", line("sys/kernel/osrelease", ""))
}
