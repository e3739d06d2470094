//! Which master has the keys of a user, in a Redis Cluster.
//!
//! redis's own cluster client sends a command again when a connection drops, though it may have been carried out: with
//! `REFRESH_GRACE=0` that would make a replay of an honest refresh. And it stays with a node that has gone silent. This
//! one sends nothing twice, and asks twice a second who is master of what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};
use shared_service::database::StoreError;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::super::STORE;
use super::address::at;
use super::link::{Link, PULSE, Source};
use super::slot::{SLOTS, slot};

/// What a node is given to say who is master of what, before the next one is asked.
const PATIENCE: Duration = Duration::from_millis(400);

/// The least time between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// None until the first attempt is over; then who has which slots, or why nobody knows.
type State = Option<Result<Arc<Map>, String>>;

/// A range of slots, as a node tells it: first, last, then the master and its replicas.
type Range = (u16, u16, Vec<Place>);

/// The host and the port of a node.
type Place = (String, u16);

/// A Cluster, and a link to each of its masters.
pub(super) struct Cluster {
    state: watch::Receiver<State>,
    links: Arc<Links>,
    doubt: Arc<Notify>,
}

/// Who is master of what.
struct Map {
    ranges: Vec<Range>,
}

/// The links to masters, each opened when it is first named.
struct Links {
    node: ConnectionInfo,
    open: Mutex<HashMap<Place, Arc<Link>>>,
}

impl Cluster {
    /// Starts to ask around and returns at once. Needs a Tokio runtime; the background task ends with the cluster.
    pub(super) fn open(seeds: Vec<ConnectionInfo>) -> Option<Self> {
        let links = Arc::new(Links { node: seeds.first()?.clone(), open: Mutex::default() });
        let (sender, state) = watch::channel(None);
        let doubt = Arc::<Notify>::default();
        let (known, doubted) = (Arc::clone(&links), Arc::clone(&doubt));
        tokio::spawn(async move {
            tokio::select! {
                () = keep_asking(&seeds, &sender, &known, &doubted) => {},
                () = sender.closed() => {},
            }
        });
        Some(Self { state, links, doubt })
    }

    /// The link to the master of `key`.
    ///
    /// # Errors
    /// Nobody knows it.
    pub(super) async fn link(&self, key: &str) -> Result<Arc<Link>, StoreError> {
        let slot = slot(key);
        let map = self.map().await?;
        let range = map.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        let master = range.and_then(|(_, _, nodes)| nodes.first());
        let master = master.ok_or_else(|| StoreError::unavailable(STORE, format!("slot {slot} has no master")))?;
        Ok(self.links.to(master))
    }

    /// The link to the node that a redirection, `host:port`, names.
    pub(super) fn redirected(&self, node: &str) -> Option<Arc<Link>> {
        self.doubt();
        let (host, port) = node.rsplit_once(':')?;
        Some(self.links.to(&(host.to_owned(), port.parse().ok()?)))
    }

    /// Asks anew who is master of what, because of what a step was told.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// A sign of life of each master.
    ///
    /// # Errors
    /// One gives none, or nobody knows them all.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let map = self.map().await?;
        let covered: u32 = map.ranges.iter().map(|(first, last, _)| u32::from(last.saturating_sub(*first)) + 1).sum();
        if covered < u32::from(SLOTS) {
            return Err(StoreError::unavailable(STORE, format!("{covered} of {SLOTS} slots have a master")));
        }
        for master in map.masters() {
            self.links.to(master).ping().await?;
        }
        Ok(())
    }

    async fn map(&self) -> Result<Arc<Map>, StoreError> {
        let mut state = self.state.clone();
        let state = state.wait_for(Option::is_some).await.map_err(|error| StoreError::unavailable(STORE, error))?;
        match state.as_ref() {
            Some(Ok(map)) => Ok(Arc::clone(map)),
            Some(Err(cause)) => Err(StoreError::unavailable(STORE, cause)),
            None => Err(StoreError::unavailable(STORE, "no node has been asked yet")),
        }
    }
}

impl Map {
    /// Each master once.
    fn masters(&self) -> Vec<&Place> {
        let mut masters: Vec<_> = self.ranges.iter().filter_map(|(_, _, nodes)| nodes.first()).collect();
        masters.sort_unstable();
        masters.dedup();
        masters
    }
}

impl Links {
    fn to(&self, (host, port): &Place) -> Arc<Link> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.entry((host.clone(), *port));
        Arc::clone(open.or_insert_with(|| Arc::new(Link::open(Source::Fixed(at(&self.node, host, *port))))))
    }

    /// Opens what is named, and closes what is not.
    fn keep(&self, masters: &[&Place]) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|place, _| masters.contains(&place));
        for master in masters {
            self.to(master);
        }
    }
}

async fn keep_asking(seeds: &[ConnectionInfo], state: &watch::Sender<State>, links: &Links, doubt: &Notify) {
    let mut friend = None;
    let mut nodes = seeds.to_vec();
    loop {
        match ask_around(&mut friend, &nodes).await {
            Ok(map) => {
                // The nodes that the cluster knows, then the seeds: addresses may change, names seldom do.
                let known = map.ranges.iter().flat_map(|(_, _, nodes)| nodes);
                nodes = known.map(|(host, port)| at(&links.node, host, *port)).collect();
                nodes.extend_from_slice(seeds);
                links.keep(&map.masters());
                state.send_replace(Some(Ok(Arc::new(map))));
            }
            Err(error) => report(state, &error),
        }
        sleep(PAUSE).await;
        // That nobody doubts is no failure.
        drop(timeout(PULSE, doubt.notified()).await);
    }
}

/// An outage is in the log once for each cause, however long it lasts.
fn report(state: &watch::Sender<State>, error: &RedisError) {
    let cause = error.to_string();
    if !matches!(&*state.borrow(), Some(Err(known)) if *known == cause) {
        log::warn!("the Redis Cluster cannot be reached: {cause}");
    }
    state.send_replace(Some(Err(cause)));
}

/// What the first node says that answers and is part of the working cluster. It is asked first the next time.
async fn ask_around(
    friend: &mut Option<(String, MultiplexedConnection)>,
    nodes: &[ConnectionInfo],
) -> RedisResult<Map> {
    if let Some((host, connection)) = friend
        && let Ok(map) = ask(host, connection).await
    {
        return Ok(map);
    }
    *friend = None;
    let mut failure = RedisError::from((ErrorKind::ClusterConnectionNotFound, "no node is named"));
    for node in nodes {
        match visit(node).await {
            Ok((found, map)) => {
                *friend = Some(found);
                return Ok(map);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn visit(node: &ConnectionInfo) -> RedisResult<((String, MultiplexedConnection), Map)> {
    let host = node.addr().to_string();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host).to_owned();
    let limits =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    let client = Client::open(node.clone())?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&limits).await?;
    let map = ask(&host, &mut connection).await?;
    Ok(((host, connection), map))
}

/// A node that was cut off from the others knows it, and what it says of masters may be old.
async fn ask(host: &str, node: &mut MultiplexedConnection) -> RedisResult<Map> {
    let mut questions = redis::pipe();
    questions.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
    let (info, slots): (String, Vec<Vec<Value>>) = questions.query_async(node).await?;
    if !info.lines().any(|line| line == "cluster_state:ok") {
        return Err(
            (ErrorKind::ClusterConnectionNotFound, "the cluster is not ok, says a node", host.to_owned()).into()
        );
    }
    Ok(Map { ranges: slots.into_iter().map(|slots| range(host, slots)).collect::<RedisResult<_>>()? })
}

/// First slot, last slot, then for each node its host, its port, its id and more. Without a host it is the one asked.
fn range(asked: &str, slots: Vec<Value>) -> RedisResult<Range> {
    let mut slots = slots.into_iter();
    let mut next = || slots.next().unwrap_or(Value::Nil);
    let (first, last) = (redis::from_redis_value(next())?, redis::from_redis_value(next())?);
    let place = |node: Value| {
        let node: Vec<Value> = redis::from_redis_value(node)?;
        let mut node = node.into_iter();
        let host: Option<String> = redis::from_redis_value(node.next().unwrap_or(Value::Nil))?;
        let port = redis::from_redis_value(node.next().unwrap_or(Value::Nil))?;
        Ok((host.filter(|host| !host.is_empty()).unwrap_or_else(|| asked.to_owned()), port))
    };
    Ok((first, last, slots.map(place).collect::<RedisResult<_>>()?))
}
