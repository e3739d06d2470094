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

/// Longer than any stop of a server. After this time the server is dead, so the call cannot take effect later.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time for which a call is repeated.
const STUBBORNNESS: Duration = Duration::from_mins(1);

/// The state that all clients share.
pub struct Soak {
    pub http: Client,
    pub addresses: Vec<String>,
    pub grace: Duration,
    pub tally: RefCell<Tally>,
    /// True when no more servers are killed or stopped.
    pub over: Cell<bool>,
}

/// A request.
pub struct Call {
    /// The name under which the call is counted.
    pub kind: &'static str,
    pub method: Method,
    pub path: String,
    pub bearer: Option<String>,
    pub body: Value,
}

/// A response that shows the outcome of a call.
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// The number of tries. Each try before the last one may or may not have taken effect.
    pub tries: usize,
    /// The time at which the first try was sent.
    pub first_sent: Instant,
    /// The time at which the answered try was sent.
    pub last_sent: Instant,
    pub answered: Instant,
}

/// For a minute no response showed the outcome of a call.
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

    /// Sends the call to random instances until a response shows its outcome.
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

    /// Returns status and body, or `None` if the outcome is unknown: no response, or a 5xx.
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

    /// Waits until every instance is ready.
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
    /// The string `name` of the body, or "" if there is none.
    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }
}

/// Returns the status, true if there is a `Retry-After`, and the body.
async fn read(response: Response) -> reqwest::Result<(u16, bool, Value)> {
    let (status, retry_after) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
    let body = response.text().await?;
    Ok((status, retry_after, serde_json::from_str(&body).unwrap_or_default()))
}

/// The claims of `token`, without a check of the signature; `null` if it is not a token.
pub fn claims(token: &str) -> Value {
    let segment = token.split('.').nth(1).and_then(|segment| BASE64_URL_SAFE_NO_PAD.decode(segment).ok());
    segment.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}
