//! The connection to Redis: one, multiplexed, and kept alive in the background.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use shared_http::database::{LIMIT, StoreError};
use tokio::sync::watch;
use tokio::time::sleep;

use super::STORE;

/// How often Redis is asked for a sign of life, or for a connection.
const PULSE: Duration = Duration::from_millis(500);

/// None until the first attempt to connect is over; then the connection, or why there is none.
type State = Option<Result<MultiplexedConnection, String>>;

/// A connection that is replaced as soon as it fails a pulse.
///
/// Nobody's request has to find out that Redis went away or came back: while it is away requests are refused at once, and
/// within 2 s of its return they are served again. Unlike redis's own `ConnectionManager` this leaves a connection that
/// is silent (a peer that vanished without a word is noticed by TCP after minutes), and tries again after every failure
/// (not only after those of the network: a password may be put right).
pub(super) struct Link {
    state: watch::Receiver<State>,
}

impl Link {
    /// Starts to connect and returns at once. Needs a Tokio runtime; the background task ends with the link.
    pub(super) fn open(client: Client) -> Self {
        let (sender, state) = watch::channel(None);
        tokio::spawn(async move {
            tokio::select! {
                () = keep_alive(&client, &sender) => {},
                () = sender.closed() => {},
            }
        });
        Self { state }
    }

    /// The connection of this moment.
    ///
    /// # Errors
    /// Redis is unreachable.
    pub(super) async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        let mut state = self.state.clone();
        let state = state.wait_for(Option::is_some).await.map_err(|error| StoreError::unavailable(STORE, error))?;
        match state.as_ref() {
            Some(Ok(connection)) => Ok(connection.clone()),
            Some(Err(cause)) => Err(StoreError::unavailable(STORE, cause)),
            None => Err(StoreError::unavailable(STORE, "not connected yet")),
        }
    }
}

async fn keep_alive(client: &Client, state: &watch::Sender<State>) {
    loop {
        match connect(client).await {
            Ok(connection) => {
                log::info!("Redis is connected");
                state.send_replace(Some(Ok(connection.clone())));
                warn_of_eviction(connection.clone()).await;
                report(state, &first_missed_pulse(connection).await);
            }
            Err(error) => {
                report(state, &error);
                sleep(PULSE).await;
            }
        }
    }
}

/// An outage is in the log once for each cause, however long it lasts.
fn report(state: &watch::Sender<State>, error: &RedisError) {
    let cause = error.to_string();
    let known = matches!(&*state.borrow(), Some(Err(known)) if *known == cause);
    if !known {
        log::warn!("Redis cannot be reached: {cause}");
    }
    state.send_replace(Some(Err(cause)));
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
    let mut connection = client.get_multiplexed_async_connection_with_config(&limits).await?;
    ping(&mut connection).await?;
    Ok(connection)
}

/// A sign of life, or why there is none within 1 s.
pub(super) async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(connection).await
}

async fn first_missed_pulse(mut connection: MultiplexedConnection) -> RedisError {
    loop {
        sleep(PULSE).await;
        if let Err(error) = ping(&mut connection).await {
            return error;
        }
    }
}

/// A Redis that drops keys when it is full logs people out at random. Where asking is forbidden, nothing is said.
async fn warn_of_eviction(mut connection: MultiplexedConnection) {
    let mut question = redis::cmd("CONFIG");
    question.arg("GET").arg("maxmemory-policy");
    let answer: RedisResult<(String, String)> = question.query_async(&mut connection).await;
    if let Ok((_, policy)) = answer
        && policy != "noeviction"
    {
        log::warn!("Redis has maxmemory-policy {policy}: it will drop sessions when it is full; set noeviction");
    }
}
