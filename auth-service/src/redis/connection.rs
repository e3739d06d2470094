use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join_all, try_join_all};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::shard::{SHARDS, Shard};
use super::step::Step;

/// The maximum time for a replica to acknowledge a write.
const WAIT_MS: u64 = 400;

/// Reads the replication state of the server that owns the slot of the key. A user who may not run `INFO` is refused:
/// without it, writes would not wait for replicas.
const PROBE: &str = "
local info = redis.pcall('INFO', 'replication')
return type(info) == 'string' and info or redis.error_reply('NOPERM the user may not run INFO: allow the user +info')";

/// A connection to one master, or to all masters of a Cluster.
///
/// Replication is asynchronous: an acknowledged write could be lost with its master, and a used refresh token would be
/// current again on the replica that takes over. So if a master has replicas, a step succeeds only once one of them has
/// acknowledged it: `WAIT` covers all earlier writes of this connection.
#[derive(Clone)]
pub(super) struct Connection {
    servers: Servers,
    /// True if the master of a shard had replicas at the last heartbeat; one element for a single master.
    replicated: Arc<[AtomicBool]>,
}

#[derive(Clone)]
enum Servers {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The server for a step, and whether to send the source of its script.
pub(super) struct Destination {
    node: SingleNodeRoutingInfo,
    asking: bool,
    with_source: bool,
}

impl Destination {
    /// The master of `key`, according to the client's slot map.
    pub(super) fn to(key: &str) -> Self {
        Self { node: master_of(key), asking: false, with_source: false }
    }

    /// The next destination after `error`, if that means that nothing was executed and says how to send the step again.
    pub(super) fn after(self, error: &RedisError) -> Option<Self> {
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) {
            return Some(Self { with_source: true, ..self });
        }
        let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
        let node = SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? };
        Some(Self { node, asking: error.kind() == ErrorKind::Server(ServerErrorKind::Ask), ..self })
    }
}

fn master_of(key: &str) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master))
}

impl Connection {
    pub(super) fn to_master(redis: MultiplexedConnection) -> Self {
        Self { servers: Servers::One(redis), replicated: Arc::new([AtomicBool::default()]) }
    }

    /// Until the first heartbeat each master counts as replicated, so that no write is acknowledged too early.
    pub(super) fn to_cluster(redis: ClusterConnection) -> Self {
        let replicated = (0..SHARDS).map(|_| AtomicBool::new(true)).collect();
        Self { servers: Servers::Cluster(redis), replicated }
    }

    /// This connection with the replication state that `previous` has seen.
    pub(super) fn after(self, previous: &Self) -> Self {
        Self { replicated: Arc::clone(&previous.replicated), ..self }
    }

    /// Runs `step` once.
    ///
    /// # Errors
    /// Redis's error. After `NOSCRIPT`, `MOVED` and `ASK` nothing was executed; after any other error it is unknown.
    pub(super) async fn run(&self, step: &Step, destination: &Destination, skew_ms: i64) -> RedisResult<Value> {
        let waits = step.replicated.is_some_and(|shard| self.of(shard).load(Ordering::Relaxed));
        let mut commands = vec![step.command(destination.with_source, skew_ms)];
        if waits {
            commands.push(redis::cmd("WAIT").arg(1).arg(WAIT_MS).take());
        }
        let mut replies = self.send(commands, destination).await?.into_iter();
        let mut next = || replies.next().unwrap_or(Value::Nil).extract_error();
        let reply = next()?;
        if waits && redis::from_redis_value::<i64>(next()?)? < 1 {
            return Err((ErrorKind::Client, "no replica has acknowledged the write").into());
        }
        Ok(reply)
    }

    /// Fails if the master of a shard does not answer, or is not a master. Records which masters have replicas.
    pub(super) async fn heartbeat(&self) -> RedisResult<()> {
        let heartbeats = self.shards().map(async |shard| match self.probe(shard).await {
            Ok(replicated) => {
                self.of(shard).store(replicated, Ordering::Relaxed);
                Ok(())
            }
            // The slot is being moved; the client learns that from this error.
            Err(error) if error.redirect_node().is_some() || error.kind() == TRY_AGAIN => Ok(()),
            Err(error) => Err(error),
        });
        // All of them, so that a dead master leaves no flag of another shard as it was.
        join_all(heartbeats).await.into_iter().collect()
    }

    /// Fails if the master of a shard does not answer.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        try_join_all(self.shards().map(|shard| self.probe(shard))).await.map(drop)
    }

    /// The `maxmemory-policy` of each master; empty if the user lacks the permission.
    pub(super) async fn eviction(&self) -> BTreeSet<String> {
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg("maxmemory-policy");
        let answers = join_all(self.shards().map(|shard| self.ask(shard, question.clone()))).await;
        let policy = |answer: RedisResult<Value>| {
            redis::from_redis_value::<(String, String)>(answer.ok()?).ok().map(|(_, policy)| policy)
        };
        answers.into_iter().filter_map(policy).collect()
    }

    /// The nodes of the Cluster, by address.
    pub(super) async fn nodes(&self) -> Vec<(String, u16)> {
        let Servers::Cluster(mut redis) = self.servers.clone() else { return Vec::new() };
        let mut question = redis::cmd("CLUSTER");
        question.arg("NODES");
        let answer = redis.route_command(question, RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random)).await;
        let text: String = answer.ok().and_then(|text| redis::from_redis_value(text).ok()).unwrap_or_default();
        let node = |line: &str| {
            let (place, _) = line.split_ascii_whitespace().nth(1)?.split_once('@')?;
            let (host, port) = place.rsplit_once(':')?;
            Some((host.to_owned(), port.parse().ok()?))
        };
        text.lines().filter_map(node).collect()
    }

    /// Checks the master of a shard; true if it has up-to-date replicas.
    async fn probe(&self, shard: Shard) -> RedisResult<bool> {
        let mut question = redis::cmd("EVAL");
        question.arg(PROBE).arg(1).arg(shard.key("revocations"));
        let info: String = redis::from_redis_value(self.ask(shard, question).await?)?;
        if !info.lines().any(|line| line == "role:master") {
            return Err((ErrorKind::Client, "this server is a replica now").into());
        }
        // A replica that is still synchronizing can neither acknowledge nor take over.
        Ok(info.lines().any(|line| line.starts_with("slave") && line.contains("state=online")))
    }

    /// Follows one redirection, as steps do: just after a fail-over the client's slot map may be outdated.
    async fn ask(&self, shard: Shard, question: Cmd) -> RedisResult<Value> {
        let destination = Destination::to(&shard.key("revocations"));
        let answer = async |destination: &Destination| {
            let answers = self.send(vec![question.clone()], destination).await?;
            answers.into_iter().last().unwrap_or(Value::Nil).extract_error()
        };
        match answer(&destination).await {
            Err(error) => match destination.after(&error) {
                Some(next) => answer(&next).await,
                None => Err(error),
            },
            answered => answered,
        }
    }

    /// Sends `commands` in one pipeline; returns a reply for each.
    async fn send(&self, commands: Vec<Cmd>, destination: &Destination) -> RedisResult<Vec<Value>> {
        let mut pipeline = redis::pipe();
        if destination.asking {
            pipeline.cmd("ASKING");
        }
        for command in commands {
            pipeline.add_command(command);
        }
        let mut replies = match self.servers.clone() {
            Servers::One(mut redis) => redis.req_packed_commands(&pipeline, 0, pipeline.len()).await?,
            Servers::Cluster(mut redis) => {
                let count = pipeline.len();
                redis.route_pipeline(pipeline, 0, count, destination.node.clone()).await?
            }
        };
        // The reply to ASKING comes first and is dropped.
        Ok(replies.split_off(usize::from(destination.asking).min(replies.len())))
    }

    /// One shard for a single master, all shards for a Cluster.
    fn shards(&self) -> impl Iterator<Item = Shard> {
        Shard::all().into_iter().take(self.replicated.len())
    }

    fn of(&self, shard: Shard) -> &AtomicBool {
        &self.replicated[shard.number() % self.replicated.len()]
    }
}

const TRY_AGAIN: ErrorKind = ErrorKind::Server(ServerErrorKind::TryAgain);
