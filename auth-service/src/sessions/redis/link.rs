//! The connection to one master: multiplexed, and kept alive in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value,
};
use shared_service::database::{LIMIT, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::super::STORE;
use super::sentinel::Sentinels;

/// How often Redis is asked for a sign of life, or for a connection.
pub(super) const PULSE: Duration = Duration::from_millis(500);

/// What a replica is given to acknowledge a write.
const WAIT_MS: u64 = 400;

/// None until the first attempt to connect is over; then the connection, or why there is none.
type State = Option<Result<Connection, String>>;

/// How the master is found.
pub(super) enum Source {
    /// It is always here.
    Fixed(ConnectionInfo),
    /// The Sentinels say where it is.
    Sentinels(Sentinels),
}

/// A connection to a master that is replaced as soon as it fails a pulse.
///
/// Nobody's request has to find out that Redis went away or came back: while it is away requests are refused at once, and
/// within 2 s of its return they are served again. Unlike redis's own `ConnectionManager` this leaves a connection that
/// is silent (a peer that vanished without a word is noticed by TCP after minutes), leaves a server that is master no
/// more, and tries again after every failure (not only after those of the network: a password may be put right).
pub(super) struct Link {
    state: watch::Receiver<State>,
    doubt: Arc<Notify>,
}

impl Link {
    /// Starts to connect and returns at once. Needs a Tokio runtime; the background task ends with the link.
    pub(super) fn open(source: Source) -> Self {
        let (sender, state) = watch::channel(None);
        let doubt = Arc::<Notify>::default();
        let doubted = Arc::clone(&doubt);
        tokio::spawn(async move {
            tokio::select! {
                () = keep_alive(&source, &sender, &doubted) => {},
                () = sender.closed() => {},
            }
        });
        Self { state, doubt }
    }

    /// The connection of this moment.
    ///
    /// # Errors
    /// Redis is unreachable.
    pub(super) async fn connection(&self) -> Result<Connection, StoreError> {
        let mut state = self.state.clone();
        let state = state.wait_for(Option::is_some).await.map_err(|error| StoreError::unavailable(STORE, error))?;
        match state.as_ref() {
            Some(Ok(connection)) => Ok(connection.clone()),
            Some(Err(cause)) => Err(StoreError::unavailable(STORE, cause)),
            None => Err(StoreError::unavailable(STORE, "not connected yet")),
        }
    }

    /// Asks for a pulse now, because of what a step was told.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// A sign of life of the connection of this moment, within 1 s.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let pong = redis::cmd("PING").exec_async(&mut connection.redis).await;
        pong.map_err(|error| StoreError::unavailable(STORE, error))
    }
}

/// A connection to a master.
#[derive(Clone)]
pub(super) struct Connection {
    redis: MultiplexedConnection,
    /// Whether it had replicas at the last pulse.
    replicated: Arc<AtomicBool>,
    /// Whether it may not be asked.
    blind: Arc<AtomicBool>,
}

impl Connection {
    /// Sends `command`, behind `ASKING` where a slot is on its way.
    ///
    /// Replication is asynchronous: a write that a client was told of could be lost with its master, and the refresh token
    /// that was used before it would be current again on the replica that takes over. So where there are replicas, a
    /// write counts only when one of them has it: `WAIT` covers all that this connection wrote before. A master without
    /// replicas has nobody to be followed by, and does not wait.
    ///
    /// # Errors
    /// Redis's. `NOSCRIPT`, `MOVED` and `ASK` say that nothing ran; after any other it is unknown.
    pub(super) async fn send(&mut self, command: &Cmd, writes: bool, asking: bool) -> RedisResult<Value> {
        let waits = writes && self.replicated.load(Ordering::Relaxed);
        if !waits && !asking {
            return command.query_async(&mut self.redis).await;
        }
        let mut pipeline = redis::pipe();
        if asking {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(command.clone());
        if waits {
            pipeline.cmd("WAIT").arg(1).arg(WAIT_MS);
        }
        let replies = self.redis.req_packed_commands(&pipeline, 0, pipeline.len()).await?;
        let mut replies = replies.into_iter().skip(usize::from(asking));
        let reply = replies.next().unwrap_or(Value::Nil).extract_error()?;
        if waits {
            let replicas: i64 = redis::from_redis_value(replies.next().unwrap_or(Value::Nil).extract_error()?)?;
            if replicas < 1 {
                return Err((ErrorKind::Client, "no replica has acknowledged the write").into());
            }
        }
        Ok(reply)
    }

    /// A sign of life, or why there is none within 1 s. Also whether there are replicas.
    async fn pulse(&mut self) -> RedisResult<()> {
        let mut question = redis::cmd("INFO");
        question.arg("replication");
        let info: String = match question.query_async(&mut self.redis).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
                if !self.blind.swap(true, Ordering::Relaxed) {
                    log::warn!("Redis forbids INFO: that it has replicas, or is one, goes unnoticed; allow +info");
                }
                return redis::cmd("PING").exec_async(&mut self.redis).await;
            }
            info => info?,
        };
        if !info.lines().any(|line| line == "role:master") {
            return Err((ErrorKind::Client, "this server is a replica now").into());
        }
        // A replica that is still copying can neither acknowledge nor take over.
        let replicated = info.lines().any(|line| line.starts_with("slave") && line.contains("state=online"));
        self.replicated.store(replicated, Ordering::Relaxed);
        Ok(())
    }
}

impl Source {
    async fn place(&self) -> RedisResult<ConnectionInfo> {
        match self {
            Self::Fixed(place) => Ok(place.clone()),
            Self::Sentinels(sentinels) => sentinels.master().await,
        }
    }

    /// Fails where the Sentinels name another master, whatever this one believes itself to be. While no Sentinel answers,
    /// a master that does is good enough.
    async fn confirm(&self, place: &ConnectionInfo) -> RedisResult<()> {
        let Self::Sentinels(sentinels) = self else { return Ok(()) };
        match sentinels.master().await {
            Ok(named) if named.addr() != place.addr() => {
                Err((ErrorKind::Client, "the Sentinels name another master", named.addr().to_string()).into())
            }
            _ => Ok(()),
        }
    }
}

async fn keep_alive(source: &Source, state: &watch::Sender<State>, doubt: &Notify) {
    loop {
        match connect(source).await {
            Ok((place, connection)) => {
                log::info!("Redis is connected: {}", place.addr());
                state.send_replace(Some(Ok(connection.clone())));
                warn_of_eviction(connection.redis.clone()).await;
                let error = first_missed_pulse(source, &place, connection, doubt).await;
                report(state, &format!("{}: {error}", place.addr()));
            }
            Err(error) => {
                report(state, &error);
                sleep(PULSE).await;
            }
        }
    }
}

/// An outage is in the log once for each cause, however long it lasts.
fn report(state: &watch::Sender<State>, cause: &str) {
    let known = matches!(&*state.borrow(), Some(Err(known)) if known == cause);
    if !known {
        log::warn!("Redis cannot be reached: {cause}");
    }
    state.send_replace(Some(Err(cause.to_owned())));
}

async fn connect(source: &Source) -> Result<(ConnectionInfo, Connection), String> {
    let place = source.place().await.map_err(|error| error.to_string())?;
    let named = |error: RedisError| format!("{}: {error}", place.addr());
    let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
    let client = Client::open(place.clone()).map_err(named)?;
    let redis = client.get_multiplexed_async_connection_with_config(&limits).await.map_err(named)?;
    let mut connection = Connection { redis, replicated: Arc::default(), blind: Arc::default() };
    connection.pulse().await.map_err(named)?;
    Ok((place, connection))
}

async fn first_missed_pulse(
    source: &Source,
    place: &ConnectionInfo,
    mut connection: Connection,
    doubt: &Notify,
) -> RedisError {
    loop {
        // Whoever doubts wants an answer now; that there is nobody is no failure.
        drop(timeout(PULSE, doubt.notified()).await);
        if let Err(error) = connection.pulse().await {
            return error;
        }
        if let Err(error) = source.confirm(place).await {
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
