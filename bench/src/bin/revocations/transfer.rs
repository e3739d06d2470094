//! The time until auth-service has read the whole list, and the time to transfer it to a service that starts.

use std::io;
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use tokio::time::sleep;

use crate::servers::Service;
use crate::table::Row;

const TRANSFERS: usize = 5;
/// Of the slowest transfer.
const LIMIT: Duration = Duration::from_secs(1);
/// The time within which auth-service must have read the list.
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn measure(client: &Client, auth: &Service) -> Result<[Row; 2], Box<dyn std::error::Error>> {
    let url = auth.url("/revocations");
    let began = Instant::now();
    let first = until_read(client, &url).await?;
    // The last milliseconds of it wrote the JSON, which auth-service caches until the list changes.
    let read = began.elapsed();
    let bytes = first.bytes().await?.len();
    let mut slowest = Duration::ZERO;
    for _ in 0..TRANSFERS {
        let began = Instant::now();
        client.get(&url).send().await?.error_for_status()?.bytes().await?;
        slowest = slowest.max(began.elapsed());
    }
    let megabytes = f64::from(u32::try_from(bytes)?) / 1e6;
    Ok([
        Row::figure("auth-service reads 100,000 that are new", format!("{:.2} s", read.as_secs_f64())),
        Row::promise(
            "the whole list on loopback, slowest of 5",
            "< 1 s",
            format!("{:.3} s, {megabytes:.1} MB", slowest.as_secs_f64()),
            slowest < LIMIT,
        ),
    ])
}

/// Repeats the request until the response is a list.
async fn until_read(client: &Client, url: &str) -> Result<Response, Box<dyn std::error::Error>> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let answer = client.get(url).send().await?;
        if answer.status() == 200 {
            return Ok(answer);
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(io::Error::other("auth-service has not read the list in a minute").into())
}
