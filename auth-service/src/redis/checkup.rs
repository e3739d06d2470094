//! Facts about the servers at an address, for `doctor`.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, InfoDict, RedisResult, Value};
use shared_service::clock::now_ms;
use shared_service::database::LIMIT;

use super::address::{Kind, RedisAddress};
use super::sentinel::Sentinels;

/// The facts that a Redis server reports about itself.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// `redis_version`.
    pub version: String,
    /// True if it accepts writes.
    pub master: bool,
    /// The number of connected, up-to-date replicas.
    pub replicas: usize,
    /// `maxmemory-policy`, `appendonly`, `appendfsync`; empty if the user lacks the permission.
    pub settings: HashMap<String, String>,
    /// True if all slots are served; `None` outside a Cluster.
    pub cluster_ok: Option<bool>,
    /// The milliseconds by which its clock is ahead of this process's; 0 if the difference is within the round trip.
    pub ahead_ms: i64,
}

impl RedisAddress {
    /// True for a Cluster.
    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.0, Kind::Cluster(_))
    }

    /// Host and port of each checked server, with its facts or an error: the one server, the named nodes of a Cluster,
    /// or the master that the Sentinels name.
    pub async fn checkup(&self) -> Vec<(String, Result<ServerFacts, String>)> {
        let places = match &self.0 {
            Kind::One(place) => vec![place.clone()],
            Kind::Cluster(nodes) => nodes.clone(),
            Kind::Sentinel { sentinels, name } => match master(sentinels, name).await {
                Ok(master) => vec![master],
                Err(error) => return vec![(format!("the Sentinels of {name}"), Err(error.to_string()))],
            },
        };
        let asked = places.into_iter().map(async |place| {
            let facts = ask(&place).await.map_err(|error| error.to_string());
            (place.addr().to_string(), facts)
        });
        futures_util::future::join_all(asked).await
    }
}

async fn master(sentinels: &[ConnectionInfo], name: &str) -> RedisResult<ConnectionInfo> {
    Ok(Sentinels::new(sentinels, name)?.master().await?.get_connection_info().clone())
}

async fn ask(place: &ConnectionInfo) -> RedisResult<ServerFacts> {
    let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
    let mut redis = Client::open(place.clone())?.get_multiplexed_async_connection_with_config(&limits).await?;
    let info: InfoDict = redis::cmd("INFO").query_async(&mut redis).await?;
    let said = |name: &str| info.get::<String>(name).unwrap_or_default();
    let online = |value: &&Value| matches!(value, Value::SimpleString(text) if text.contains("state=online"));
    let cluster_ok = if said("redis_mode") == "cluster" { Some(is_cluster_ok(&mut redis).await?) } else { None };
    Ok(ServerFacts {
        version: said("redis_version"),
        master: said("role") == "master",
        replicas: info.values().filter(online).count(),
        settings: settings(&mut redis).await,
        cluster_ok,
        ahead_ms: ahead_ms(&mut redis).await?,
    })
}

/// The settings of the server; empty if the user lacks the permission.
async fn settings(redis: &mut MultiplexedConnection) -> HashMap<String, String> {
    let mut question = redis::cmd("CONFIG");
    question.arg("GET").arg(&["maxmemory-policy", "appendonly", "appendfsync"]);
    question.query_async(redis).await.unwrap_or_default()
}

async fn is_cluster_ok(redis: &mut MultiplexedConnection) -> RedisResult<bool> {
    let text: String = redis::cmd("CLUSTER").arg("INFO").query_async(redis).await?;
    Ok(text.lines().any(|line| line == "cluster_state:ok"))
}

async fn ahead_ms(redis: &mut MultiplexedConnection) -> RedisResult<i64> {
    let asked = now_ms();
    let (seconds, microseconds): (i64, i64) = redis::cmd("TIME").query_async(redis).await?;
    let there = seconds * 1000 + microseconds / 1000;
    Ok(there - there.clamp(asked, now_ms().max(asked)))
}
