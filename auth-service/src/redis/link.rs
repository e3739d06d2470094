//! The connection to Redis: checked by heartbeats, and replaced in the background when one fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, RedisResult};
use shared_service::database::{LIMIT, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::address::at;
use super::connection::Connection;
use super::sentinel::Sentinels;
use crate::SESSION_STORE;

/// The interval of heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The maximum time for the nodes of a Cluster to answer a heartbeat or to accept a connection, and the shortest
/// interval of heartbeats.
const PATIENCE: Duration = Duration::from_millis(400);
const PAUSE: Duration = Duration::from_millis(50);

/// `None` until the first connection attempt has ended.
type State = Option<Result<Connection, String>>;

/// The servers to connect to.
pub(super) enum Topology {
    /// One fixed server.
    One(ConnectionInfo),
    /// The master that the Sentinels name.
    Sentinel(Box<Sentinels>),
    /// A Cluster: the nodes in the address, and those known from the last connection.
    Cluster { named: Vec<ConnectionInfo>, known: Vec<ConnectionInfo> },
}

/// Maintains a connection, so that no request has to detect an outage or its end. While Redis is away, requests are
/// refused at once; within 2 s of its return they are served again.
///
/// Unlike the clients of the `redis` crate, it drops a connection that does not answer (TCP notices a vanished peer
/// after minutes), drops a server that is no longer the master, and retries after every failure (a password may be
/// corrected). The crate's cluster client keeps a node that does not answer; this link replaces all its connections.
pub(super) struct Link {
    state: watch::Receiver<State>,
    suspected: Arc<Notify>,
}

impl Link {
    /// Starts connecting and returns at once. Needs a Tokio runtime; the background task ends with the link.
    pub(super) fn open(source: Topology) -> Self {
        let (sender, state) = watch::channel(None);
        let suspected = Arc::<Notify>::default();
        let task = ConnectionTask { source, state: sender.clone(), suspected: Arc::clone(&suspected), cause: None };
        tokio::spawn(async move {
            tokio::select! {
                () = task.keep_alive() => {},
                () = sender.closed() => {},
            }
        });
        Self { state, suspected }
    }

    /// The current connection.
    pub(super) async fn connection(&self) -> Result<Connection, StoreError> {
        let unavailable = |cause: &dyn fmt::Display| StoreError::unavailable(SESSION_STORE, cause);
        let mut state = self.state.clone();
        match state.wait_for(Option::is_some).await.map_err(|error| unavailable(&error))?.as_ref() {
            Some(Ok(connection)) => Ok(connection.clone()),
            Some(Err(cause)) => Err(unavailable(cause)),
            None => Err(unavailable(&"not connected yet")),
        }
    }

    /// Requests a heartbeat now: a server that answers a step with an error may no longer be the master.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }
}

struct ConnectionTask {
    source: Topology,
    state: watch::Sender<State>,
    suspected: Arc<Notify>,
    /// The cause of the outage that was logged last.
    cause: Option<String>,
}

impl ConnectionTask {
    async fn keep_alive(mut self) {
        let mut pause = PAUSE;
        loop {
            match self.source.connect().await {
                Err(cause) => {
                    pause = HEARTBEAT;
                    self.report(&cause);
                    self.state.send_replace(Some(Err(cause)));
                }
                Ok((place, mut connection)) => {
                    if self.source.is_cluster() {
                        if let Some(Ok(previous)) = &*self.state.borrow() {
                            connection = connection.after(previous);
                        }
                        // A shard without its master must not block the others.
                        self.state.send_replace(Some(Ok(connection.clone())));
                    }
                    let (cause, was_served) = self.first_missed_heartbeat(&place, &connection).await;
                    pause = if was_served { PAUSE } else { HEARTBEAT.min(2 * pause) };
                    self.report(&cause);
                    if !self.source.is_cluster() {
                        self.state.send_replace(Some(Err(cause)));
                    }
                }
            }
            sleep(pause).await;
        }
    }

    /// Sends heartbeats until one fails; returns the reason, and true if an earlier one succeeded.
    async fn first_missed_heartbeat(&mut self, place: &str, connection: &Connection) -> (String, bool) {
        let mut was_served = false;
        loop {
            if let Err(error) = self.source.heartbeat(place, connection).await {
                return (format!("{place}: {error}"), was_served);
            }
            if !was_served {
                was_served = true;
                self.cause = None;
                log::info!("Redis is connected: {place}");
                self.state.send_replace(Some(Ok(connection.clone())));
                warn_of_eviction(connection).await;
            }
            sleep(PAUSE).await;
            // A notification and a timeout both mean that the next heartbeat is due.
            drop(timeout(HEARTBEAT, self.suspected.notified()).await);
        }
    }

    /// Logs an outage once for each cause.
    fn report(&mut self, cause: &str) {
        if self.cause.as_deref() != Some(cause) {
            log::warn!("Redis cannot be reached: {cause}");
        }
        self.cause = Some(cause.to_owned());
    }
}

impl Topology {
    const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// Connects; also returns the server's address for the log.
    async fn connect(&mut self) -> Result<(String, Connection), String> {
        let client = match self {
            Self::One(place) => Client::open(place.clone()),
            Self::Sentinel(sentinels) => sentinels.master().await,
            Self::Cluster { named, known } => {
                let connection = match cluster(named).await {
                    Err(_) if !known.is_empty() => cluster(known).await,
                    found => found,
                };
                let connection = connection.map_err(|error| format!("the Cluster: {error}"))?;
                let nodes = connection.nodes().await;
                *known = nodes.iter().filter_map(|(host, port)| Some(at(named.first()?, host, *port))).collect();
                return Ok(("the Cluster".to_owned(), connection));
            }
        }
        .map_err(|error| error.to_string())?;
        let place = client.get_connection_info().addr().to_string();
        let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        match client.get_multiplexed_async_connection_with_config(&limits).await {
            Ok(redis) => Ok((place, Connection::to_master(redis))),
            Err(error) => Err(format!("{place}: {error}")),
        }
    }

    /// Fails if a master does not answer, or if the Sentinels name another one. While no Sentinel answers, a master
    /// that answers is accepted.
    async fn heartbeat(&mut self, place: &str, connection: &Connection) -> RedisResult<()> {
        let patience = if self.is_cluster() { PATIENCE } else { LIMIT };
        let silent = |_| RedisError::from((ErrorKind::Io, "no sign of life"));
        timeout(patience, connection.heartbeat()).await.map_err(silent)??;
        let Self::Sentinel(sentinels) = self else { return Ok(()) };
        match sentinels.master().await.map(|named| named.get_connection_info().addr().to_string()) {
            Ok(named) if named != place => Err((ErrorKind::Client, "the Sentinels name another master", named).into()),
            _ => Ok(()),
        }
    }
}

/// Retries are off: if the reply to an executed rotation were lost, its retry would be taken for a reuse.
async fn cluster(nodes: &[ConnectionInfo]) -> RedisResult<Connection> {
    let client = ClusterClient::builder(nodes.iter().cloned()).retries(0);
    let client = client.connection_timeout(PATIENCE).response_timeout(LIMIT).build()?;
    client.get_async_connection().await.map(Connection::to_cluster)
}

/// Warns of a Redis that evicts keys when it is full: it would log out users at random.
async fn warn_of_eviction(connection: &Connection) {
    for policy in connection.eviction().await.iter().filter(|policy| *policy != "noeviction") {
        log::warn!("Redis has maxmemory-policy {policy}: it will drop sessions when it is full; set noeviction");
    }
}
