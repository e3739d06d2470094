use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::tally::{Tally, Violation};

/// Longer than any server is stopped: a call is answered, or its server is dead, so that nothing asked for happens later.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one thing is asked for, again and again.
const STUBBORNNESS: Duration = Duration::from_mins(1);

/// What all clients share.
pub struct Soak {
    pub http: Client,
    pub addresses: Vec<String>,
    pub grace: Duration,
    pub tally: RefCell<Tally>,
    /// Whether the weather is over.
    pub over: Cell<bool>,
}

/// What is asked for.
pub struct Call {
    /// Under which name it is counted.
    pub kind: &'static str,
    pub method: Method,
    pub path: String,
    pub bearer: Option<String>,
    pub body: Value,
}

/// An answer that says what happened.
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// How often it was asked for; all tries but the last may or may not have happened.
    pub tries: usize,
    /// When the first try was sent.
    pub first_sent: Instant,
    /// When the one that was answered was sent.
    pub last_sent: Instant,
    pub answered: Instant,
}

/// Nothing that says what happened was answered for a minute.
#[derive(Debug)]
pub struct Stuck;

impl Error for Stuck {}

impl Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a client had no answer for a minute and gave up")
    }
}

impl Soak {
    pub fn violation(&self, violation: Violation, what: impl Display) {
        self.tally.borrow_mut().violation(violation, what);
    }

    /// Asks one instance after the other, by chance, until one says what happened.
    pub async fn insist(&self, chance: &mut Chance, call: &Call) -> Result<Answer, Stuck> {
        let first_sent = Instant::now();
        for tries in 1.. {
            let last_sent = Instant::now();
            let instance = chance.below(self.addresses.len());
            if let Some((status, body)) = self.ask(&self.addresses[instance], call).await {
                return Ok(Answer { status, body, tries, first_sent, last_sent, answered: Instant::now() });
            }
            if first_sent.elapsed() > STUBBORNNESS {
                break;
            }
            sleep(chance.ms(10..60)).await;
        }
        self.violation(Violation::NoAnswer, call.kind);
        Err(Stuck)
    }

    /// Status and body. Nothing where the outcome is open: no answer, or 503.
    async fn ask(&self, address: &str, call: &Call) -> Option<(u16, Value)> {
        let mut request = self.http.request(call.method.clone(), format!("{address}{}", call.path)).timeout(PATIENCE);
        if let Some(token) = &call.bearer {
            request = request.bearer_auth(token);
        }
        if !call.body.is_null() {
            request = request.json(&call.body);
        }
        let sent = Instant::now();
        let answer = match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Err(error),
        };
        let status = answer.as_ref().ok().map(|(status, ..)| *status);
        self.tally.borrow_mut().call(call.kind, status, sent.elapsed());
        let (status, retry_after, body) = answer.ok()?;
        if status < 500 {
            return Some((status, body));
        }
        if status != 503 || !retry_after {
            self.violation(Violation::ServerError, format!("{}: {status}, Retry-After: {retry_after}", call.kind));
        }
        None
    }

    /// Waits until every instance says that it is ready.
    pub async fn ready(&self) -> Result<(), Stuck> {
        let began = Instant::now();
        for address in &self.addresses {
            let ready = async || {
                let answer = self.http.get(format!("{address}/readyz")).timeout(PATIENCE).send().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            };
            while !ready().await {
                if began.elapsed() > STUBBORNNESS {
                    self.violation(Violation::NoAnswer, "/readyz");
                    return Err(Stuck);
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}

impl Answer {
    /// The string `name` of the body, "" where there is none.
    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }
}

/// Status, whether there is `Retry-After`, body.
async fn read(response: Response) -> reqwest::Result<(u16, bool, Value)> {
    let (status, retry_after) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
    let body = response.text().await?;
    Ok((status, retry_after, serde_json::from_str(&body).unwrap_or_default()))
}

/// What `token` says; nothing where it is none.
pub fn claims(token: &str) -> Value {
    let segment = token.split('.').nth(1).and_then(|segment| BASE64_URL_SAFE_NO_PAD.decode(segment).ok());
    segment.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}
