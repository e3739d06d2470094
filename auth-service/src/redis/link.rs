//! The connection of a service to Redis: replaced in the background when it fails a heartbeat.

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

/// The time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The time that the nodes of a Cluster have to answer a heartbeat or to take a connection, and the least time between two heartbeats.
const PATIENCE: Duration = Duration::from_millis(400);
const PAUSE: Duration = Duration::from_millis(50);

/// None until the first attempt to connect is over; then the connection, or the reason why there is none.
type State = Option<Result<Connection, String>>;

/// The place of the servers.
pub(super) enum Topology {
    /// One server, always in this place.
    One(ConnectionInfo),
    /// The master that the Sentinels name.
    Sentinel(Box<Sentinels>),
    /// A Cluster: the nodes that the address names, and those that it had when it was reached last.
    Cluster { named: Vec<ConnectionInfo>, known: Vec<ConnectionInfo> },
}

/// Keeps a connection, so that no request has to find out that Redis went away or came back: while it is away requests are
/// refused at once, and within 2 s of its return they are served again.
///
/// Unlike redis's own clients this leaves a connection that is silent (TCP notices a peer that vanished after minutes), leaves
/// a server that is master no more, and tries again after every failure (a password may be put right). redis's cluster client
/// keeps a node that is silent for as long as it lasts; here all connections to a Cluster are made anew.
pub(super) struct Link {
    state: watch::Receiver<State>,
    suspected: Arc<Notify>,
}

impl Link {
    /// Starts to connect and returns at once. Needs a Tokio runtime; the background task ends with the link.
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

    /// The connection of this moment.
    ///
    /// # Errors
    /// Redis is unreachable.
    pub(super) async fn connection(&self) -> Result<Connection, StoreError> {
        let unavailable = |cause: &dyn fmt::Display| StoreError::unavailable(SESSION_STORE, cause);
        let mut state = self.state.clone();
        match state.wait_for(Option::is_some).await.map_err(|error| unavailable(&error))?.as_ref() {
            Some(Ok(connection)) => Ok(connection.clone()),
            Some(Err(cause)) => Err(unavailable(cause)),
            None => Err(unavailable(&"not connected yet")),
        }
    }

    /// Asks for a heartbeat now: a server that answers a step with an error may be master no more.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }
}

struct ConnectionTask {
    source: Topology,
    state: watch::Sender<State>,
    suspected: Arc<Notify>,
    /// The outage that is in the log.
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
                Ok((place, connection)) => {
                    if self.source.is_cluster() {
                        // A shard whose master is away must not keep the others from being served.
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

    /// The reason why the connection is to be left, and whether it was served by before.
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
            // A closed channel and an elapsed time both mean that it is time for the next heartbeat.
            drop(timeout(HEARTBEAT, self.suspected.notified()).await);
        }
    }

    /// An outage is in the log once for each cause, however long it lasts.
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

    /// A connection, and the place of its server for the log.
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

    /// Fails where a master does not answer, or where the Sentinels name another one, whatever this one believes itself to be.
    /// While no Sentinel answers, a master that does is good enough.
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

/// Nothing is sent a second time: a step that was carried out, and whose answer was lost, would be taken for a reuse.
async fn cluster(nodes: &[ConnectionInfo]) -> RedisResult<Connection> {
    let client = ClusterClient::builder(nodes.iter().cloned()).retries(0);
    let client = client.connection_timeout(PATIENCE).response_timeout(LIMIT).build()?;
    client.get_async_connection().await.map(Connection::to_cluster)
}

/// A Redis that drops keys when it is full logs users out at random.
async fn warn_of_eviction(connection: &Connection) {
    for policy in connection.eviction().await.iter().filter(|policy| *policy != "noeviction") {
        log::warn!("Redis has maxmemory-policy {policy}: it will drop sessions when it is full; set noeviction");
    }
}
