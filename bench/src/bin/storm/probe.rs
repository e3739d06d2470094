//! Requests at fixed times, whether or not earlier ones have been answered. A latency counts from the planned time.

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::servers::{Servers, url};

pub struct Probe {
    client: Client,
    livez: String,
    books: String,
    token: String,
}

/// The latencies of the responses.
pub struct Latencies {
    /// In milliseconds, in ascending order.
    sorted: Vec<f64>,
    /// The number of requests without a 200.
    pub failed: usize,
}

impl Probe {
    pub async fn new(servers: &Servers) -> reqwest::Result<Self> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let body = json!({"username": "anna", "password": "password123member"});
        let answer: Value = client.post(url(servers.auth, "/login")).json(&body).send().await?.json().await?;
        Ok(Self {
            client,
            livez: url(servers.auth, "/livez"),
            books: url(servers.books, "/books"),
            token: answer["accessToken"].as_str().unwrap_or_default().to_owned(),
        })
    }

    pub async fn livez(&self, per_second: u32, time: Duration) -> Latencies {
        measure(self.client.get(&self.livez), per_second, time).await
    }

    pub async fn books(&self, per_second: u32, time: Duration) -> Latencies {
        measure(self.client.get(&self.books).bearer_auth(&self.token), per_second, time).await
    }
}

async fn measure(request: RequestBuilder, per_second: u32, time: Duration) -> Latencies {
    let mut clock = interval(Duration::from_secs(1) / per_second);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begin = Instant::now();
    let mut calls = JoinSet::new();
    while begin.elapsed() < time {
        let planned = clock.tick().await.into_std();
        let Some(request) = request.try_clone() else { break };
        calls.spawn(async move {
            let answer = request.send().await;
            let good = answer.is_ok_and(|answer| answer.status() == 200);
            good.then(|| planned.elapsed().as_secs_f64() * 1000.0)
        });
    }
    let ended = calls.join_all().await;
    let mut sorted: Vec<f64> = ended.iter().copied().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    Latencies { failed: ended.len() - sorted.len(), sorted }
}

impl Latencies {
    pub fn p99(&self) -> f64 {
        self.at(99)
    }

    fn at(&self, percent: usize) -> f64 {
        let index = (self.sorted.len() * percent / 100).min(self.sorted.len().saturating_sub(1));
        self.sorted.get(index).copied().unwrap_or(f64::INFINITY)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}, {:.1}", self.at(50), self.p99())
    }
}
