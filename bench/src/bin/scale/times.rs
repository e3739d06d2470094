use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::load::{Connection, request};
use crate::table::Row;

/// The times of the responses to one kind of request, in milliseconds.
#[derive(Default)]
pub struct Times {
    millis: Vec<f64>,
    /// The number of responses that are 503.
    refused: usize,
}

/// A client with a connection that is kept open.
pub struct Client<'t> {
    connection: Connection,
    token: &'t str,
}

impl<'t> Client<'t> {
    pub fn of(addr: SocketAddr, token: &'t str) -> Result<Self, Failure> {
        Ok(Self { connection: Connection::open(addr)?, token })
    }

    /// Sends a request, notes the time of its response in `times`, and returns the body, unless it is a 503.
    pub fn ask(&mut self, times: &mut Times, method: &str, path: &str, body: &str) -> Result<Option<String>, Failure> {
        let began = Instant::now();
        self.connection.send(&request(method, path, self.token, body))?;
        let response = self.connection.receive()?;
        times.millis.push(began.elapsed().as_secs_f64() * 1e3);
        match response.status {
            200..300 => Ok(Some(response.body.to_owned())),
            503 => {
                times.refused += 1;
                Ok(None)
            }
            status => Err(format!("{method} {path} is answered {status}: {}", response.body).into()),
        }
    }

    /// Asks for each of `paths`, for at most 5 s.
    pub fn ask_all(&mut self, paths: impl IntoIterator<Item = String>) -> Result<Times, Failure> {
        let (mut times, began) = (Times::default(), Instant::now());
        for path in paths {
            self.ask(&mut times, "GET", &path, "")?;
            if began.elapsed() > Duration::from_secs(5) {
                break;
            }
        }
        Ok(times)
    }
}

impl Times {
    pub const fn count(&self) -> usize {
        self.millis.len()
    }

    pub const fn refused(&self) -> usize {
        self.refused
    }

    pub fn add(&mut self, other: Self) {
        self.millis.extend(other.millis);
        self.refused += other.refused;
    }

    /// The time that `percent` of the responses do not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut millis = self.millis.clone();
        millis.sort_by(f64::total_cmp);
        let last = (millis.len() * percent / 100).min(millis.len().saturating_sub(1));
        millis.get(last).copied().unwrap_or(f64::NAN)
    }

    /// A row whose goal is a p99 of at most `limit` milliseconds and no 503.
    pub fn row(&self, what: &'static str, goal: &'static str, limit: f64) -> Row {
        Row::promise(what, goal, self.to_string(), self.percentile(99) <= limit && self.refused == 0)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}, {:.2} ms", self.percentile(50), self.percentile(99))?;
        if self.refused > 0 { write!(f, "; {} of {} are 503", self.refused, self.count()) } else { Ok(()) }
    }
}
