use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

/// A violation of an invariant.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Violation {
    Undone,
    LateUse,
    Lost,
    Refused,
    ServerError,
    Diverged,
    Generation,
    Devices,
    NoAnswer,
    Ended,
}

const ALL: [(Violation, &str); 10] = [
    (Violation::Undone, "an acknowledged rotation, logout, ending or password change is never undone"),
    (Violation::LateUse, "no used token is accepted later than the grace"),
    (Violation::Lost, "a live session's current token is always accepted: no session is lost"),
    (Violation::Refused, "no 401 or 403 for a valid access token or password"),
    (Violation::ServerError, "no 5xx but 503, and that with Retry-After"),
    (Violation::Diverged, "the answers to one token converge on one successor"),
    (Violation::Generation, "the generation of a successor is one higher"),
    (Violation::Devices, "the list of devices shows exactly the live sessions"),
    (Violation::NoAnswer, "a client that retries gets a response within a minute"),
    (Violation::Ended, "no server ends by itself"),
];

/// The counts of calls, kills and violations.
pub struct Tally {
    began: Instant,
    calls: BTreeMap<&'static str, Calls>,
    pub deaths: BTreeMap<&'static str, u32>,
    violations: BTreeMap<Violation, u32>,
    pub alive: usize,
    pub ended: usize,
    /// Sessions that ended because a response was lost and the client retried later than the grace.
    pub forced: u32,
}

#[derive(Default)]
struct Calls {
    /// The number of responses by status; 0 is no response.
    answers: BTreeMap<u16, usize>,
    /// The latencies of the calls that were answered, in microseconds.
    latencies: Vec<u128>,
}

impl Tally {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            calls: BTreeMap::new(),
            deaths: BTreeMap::new(),
            violations: BTreeMap::new(),
            alive: 0,
            ended: 0,
            forced: 0,
        }
    }

    /// Counts a call of the kind `kind`. `status` is `None` if there was no response.
    pub fn call(&mut self, kind: &'static str, status: Option<u16>, took: Duration) {
        let calls = self.calls.entry(kind).or_default();
        *calls.answers.entry(status.unwrap_or_default()).or_default() += 1;
        if status.is_some() {
            calls.latencies.push(took.as_micros());
        }
    }

    pub fn death(&mut self, what: &'static str) {
        *self.deaths.entry(what).or_default() += 1;
    }

    /// Prints a violation at once, and counts it.
    pub fn violation(&mut self, violation: Violation, what: impl Display) {
        eprintln!("soak: {violation:?} after {:.3} s: {what}", self.began.elapsed().as_secs_f64());
        *self.violations.entry(violation).or_default() += 1;
    }

    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| call | tries | answers | p50 ms | p99 ms | max ms |\n|---|--:|---|--:|--:|--:|")?;
        let mut total = 0;
        for (kind, calls) in &self.calls {
            let tries: usize = calls.answers.values().sum();
            total += tries;
            let [p50, p99, max] = calls.percentiles();
            writeln!(f, "| {kind} | {tries} | {} | {p50} | {p99} | {max} |", calls.answers())?;
        }
        writeln!(f, "| all | {total} | | | | |")?;
        writeln!(f, "\n| fault | times |\n|---|--:|")?;
        for (what, times) in &self.deaths {
            writeln!(f, "| {what} | {times} |")?;
        }
        writeln!(f, "\n| sessions at the end | |\n|---|--:|")?;
        writeln!(f, "| alive, each proven by its token | {} |", self.alive)?;
        writeln!(f, "| ended, each proven by its token | {} |", self.ended)?;
        writeln!(f, "| of these: retried later than the grace | {} |", self.forced)?;
        writeln!(f, "\n| invariant | violations |\n|---|--:|")?;
        for (violation, text) in ALL {
            writeln!(f, "| {text} | {} |", self.violations.get(&violation).unwrap_or(&0))?;
        }
        Ok(())
    }
}

impl Calls {
    fn answers(&self) -> String {
        let text = |(status, count): (&u16, &usize)| match status {
            0 => format!("none: {count}"),
            _ => format!("{status}: {count}"),
        };
        self.answers.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    fn percentiles(&self) -> [String; 3] {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        [last / 2, last * 99 / 100, last].map(|index| {
            let micros = sorted.get(index).unwrap_or(&0);
            format!("{}.{}", micros / 1000, micros % 1000 / 100)
        })
    }
}
