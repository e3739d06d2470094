//! The rows of the table of rates.

use std::net::SocketAddr;
use std::time::Duration;

use crate::load::{Connection, load, request};
use crate::servers::Server;
use crate::{Failure, Servers};

pub const LOGIN: &str = r#"{"username":"john","password":"password123admin"}"#;

/// One line of the table.
pub struct Row<'a> {
    pub work: &'static str,
    pub who: &'static str,
    server: &'a Server,
    requests: Vec<String>,
    next: fn(&str) -> Option<String>,
    /// CPU time per request in microseconds, and requests per second.
    pub passes: Vec<(f64, f64)>,
}

/// The rows of the table. The first row of each kind of work is the reference for the others.
pub fn rows(servers: &Servers) -> Result<Vec<Row<'_>>, Failure> {
    const BOOKS: &str = "`GET /books`, 3 books";
    const MANY: &str = "`GET /books`, 1000 books";
    const FORGED: &str = "`GET /books`, bad signature";
    const TOKEN: &str = "`POST /token`, rotation in Redis";
    const LOGIN_ROW: &str = "`POST /login`, bcrypt cost 10";
    let Servers { ceiling, auth, books, many, logged, es256: [signing, verifying], .. } = servers;
    let plain = tokens(ceiling.addr)?.0;
    let ours = tokens(auth.addr)?.0;
    let ecdsa = tokens(signing.addr)?.0;
    add_books(many.addr, &ours)?;
    let get = |path: &str, token: &str| vec![request("GET", path, token, ""); 32];
    let row = |work, who, server, requests| Row { work, who, server, requests, next: |_| None, passes: Vec::new() };
    let mut rows = vec![
        row(BOOKS, "actix-web, ready bytes", ceiling, get("/bare", "")),
        row(BOOKS, "actix-web, verified", ceiling, get("/books", &plain)),
        row(BOOKS, "books-service", books, get("/books", &ours)),
        row(BOOKS, "with the access log", logged, get("/books", &ours)),
        row(BOOKS, "ES256", verifying, get("/books", &ecdsa)),
        row(MANY, "actix-web, ready bytes", ceiling, get("/many", "")),
        row(MANY, "books-service", many, get("/books", &ours)),
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

/// Fills the catalogue up to 1,000 books.
fn add_books(addr: SocketAddr, token: &str) -> Result<(), Failure> {
    let mut connection = Connection::open(addr)?;
    for number in 4..=1000 {
        let body = format!(
            r#"{{"author":"Author {number}","country":"Nigeria","language":"English","pages":{number},"title":"Title {number}","year":1958}}"#
        );
        connection.send(&request("POST", "/books", token, &body))?;
        let status = connection.receive()?.status;
        (status == 201).then_some(()).ok_or_else(|| format!("a new book was answered {status}"))?;
    }
    Ok(())
}

/// The access token and the refresh token of a login.
pub fn tokens(addr: SocketAddr) -> Result<(String, String), Failure> {
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
    /// Repeats the requests for `time`, and records the figures.
    pub fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        let before = self.server.cpu()?;
        let load = load(self.server.addr, &mut self.requests, time, self.next)?;
        if load.failures > 0 {
            return Err(format!("{}, {}: {} wrong responses", self.work, self.who, load.failures).into());
        }
        let (used, responses) = (self.server.cpu()?.saturating_sub(before), f64::from(load.responses));
        self.passes.push((used.as_secs_f64() * 1e6 / responses, responses / load.time.as_secs_f64()));
        Ok(())
    }
}
