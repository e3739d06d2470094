//! The time for which a token outlives its session.

use std::io;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::servers::Service;
use crate::table::{Row, median};

const LOGOUTS: u32 = 50;
/// Of the slowest logout, in milliseconds.
const LIMIT: f64 = 1_500.0;
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Tokens {
    pub access: String,
    refresh: String,
}

pub async fn log_in(client: &Client, auth: &Service) -> reqwest::Result<Tokens> {
    let body = json!({"username": "anna", "password": "password123member"});
    let answer = client.post(auth.url("/login")).json(&body).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    Ok(Tokens { access: text("accessToken"), refresh: text("refreshToken") })
}

pub async fn measure(client: &Client, auth: &Service, books: &Service) -> Result<Row, Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    for number in 0..LOGOUTS {
        // The delay depends on the next poll of books-service, so the logouts are spread evenly between two polls.
        sleep(Duration::from_secs(1) * number / LOGOUTS).await;
        times.push(outlives(client, auth, books).await?.as_secs_f64() * 1000.0);
    }
    let median = median(&mut times);
    let longest = times.last().copied().unwrap_or(f64::INFINITY);
    Ok(Row::promise(
        "50 logouts, until books-service refuses the token: median, longest",
        "longest ≤ 1,500 ms",
        format!("{median:.0}, {longest:.0} ms"),
        longest <= LIMIT,
    ))
}

/// The time from the request of a logout to the first 401 of books-service.
async fn outlives(client: &Client, auth: &Service, books: &Service) -> Result<Duration, Box<dyn std::error::Error>> {
    let tokens = log_in(client, auth).await?;
    if ask(client, books, &tokens).await? != 200 {
        return Err(io::Error::other("books-service refuses a new token").into());
    }
    let began = Instant::now();
    let body = json!({"token": tokens.refresh});
    client.post(auth.url("/logout")).json(&body).send().await?.error_for_status()?;
    while began.elapsed() < PATIENCE {
        match ask(client, books, &tokens).await? {
            200 => sleep(Duration::from_millis(2)).await,
            401 => return Ok(began.elapsed()),
            status => return Err(io::Error::other(format!("books-service answers {status}")).into()),
        }
    }
    Err(io::Error::other("a token outlives its session by 10 s").into())
}

async fn ask(client: &Client, books: &Service, tokens: &Tokens) -> reqwest::Result<u16> {
    let answer = client.get(books.url("/books")).bearer_auth(&tokens.access).send().await?;
    let status = answer.status().as_u16();
    // Reads to the end, so that the connection can be reused.
    answer.bytes().await?;
    Ok(status)
}
