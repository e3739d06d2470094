//! Redis 7 or newer: one server, a master watched by Sentinels, or a Cluster. Each step is one run of a script, which
//! Redis executes atomically.

mod address;
mod checkup;
mod connection;
mod link;
mod sentinel;
mod shard;
mod step;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use redis::{FromRedisValue, RedisError, Value};
use shared_service::database::{StoreError, within};

use self::address::Kind;
pub use self::address::RedisAddress;
pub use self::checkup::ServerFacts;
use self::connection::Destination;
use self::link::{Link, Topology};
use self::sentinel::Sentinels;
pub use self::shard::{SHARDS, Shard};
pub use self::step::{Lua, Step};
use crate::SESSION_STORE;

/// The maximum number of times that a step is sent, if each reply means that nothing was executed.
const SENDS: usize = 5;

/// The connection to Redis that all stores share.
#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
    skew_ms: Arc<AtomicI64>,
}

impl Redis {
    /// Connects in the background. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The address contains no server.
    pub fn open(address: RedisAddress) -> Result<Self, StoreError> {
        let source = match address.0 {
            Kind::One(place) => Topology::One(place),
            Kind::Sentinel { sentinels, name } => {
                let sentinels = Sentinels::new(&sentinels, &name);
                Topology::Sentinel(Box::new(sentinels.map_err(|error| StoreError::unavailable(SESSION_STORE, error))?))
            }
            Kind::Cluster(named) => Topology::Cluster { named, known: Vec::new() },
        };
        Ok(Self { link: Arc::new(Link::open(source)), skew_ms: Arc::default() })
    }

    /// Adds the current value of `skew_ms` to the clock of Redis. For tests.
    #[must_use]
    pub fn with_skew(self, skew_ms: Arc<AtomicI64>) -> Self {
        Self { skew_ms, ..self }
    }

    /// Runs one step.
    pub(crate) async fn step<T: FromRedisValue>(&self, step: &Step) -> Result<T, StoreError> {
        let reply = within(SESSION_STORE, self.take(step)).await?;
        redis::from_redis_value(reply).map_err(|error| StoreError::corrupt(SESSION_STORE, error))
    }

    /// Checks that each master answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        within(SESSION_STORE, async { self.link.connection().await?.ping().await.map_err(failed) }).await
    }

    /// Sends a step; sends it again only after a reply that means that nothing was executed: Redis forgets scripts at a
    /// restart or on request (`NOSCRIPT`), and slots move (`MOVED`, `ASK`).
    async fn take(&self, step: &Step) -> Result<Value, StoreError> {
        let connection = self.link.connection().await?;
        let skew_ms = self.skew_ms.load(Ordering::Relaxed);
        let mut destination = Destination::to(&step.keys[0]);
        for _ in 0..SENDS {
            match connection.run(step, &destination, skew_ms).await {
                Ok(reply) => return Ok(reply),
                Err(error) => {
                    destination = destination.after(&error).ok_or_else(|| {
                        self.link.suspect();
                        failed(error)
                    })?;
                }
            }
        }
        self.link.suspect();
        Err(StoreError::unavailable(SESSION_STORE, "no server takes the step"))
    }
}

/// A record that is not a session, according to the script or by its type in Redis, is corrupt; any other error is an
/// outage.
fn failed(error: RedisError) -> StoreError {
    match error.code() {
        Some("CORRUPT" | "WRONGTYPE") => StoreError::corrupt(SESSION_STORE, error),
        _ => StoreError::unavailable(SESSION_STORE, error),
    }
}
