//! Who is master, by the word of the Sentinels.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisConnectionInfo, RedisError, RedisResult};
use tokio::sync::Mutex;

use super::address::at;

/// What a Sentinel is given to answer before the next one is asked.
const PATIENCE: Duration = Duration::from_millis(300);

/// The Sentinels of one master.
pub(super) struct Sentinels {
    places: Vec<ConnectionInfo>,
    name: String,
    node: ConnectionInfo,
    /// The one that answered last.
    trusted: Mutex<Option<MultiplexedConnection>>,
}

impl Sentinels {
    pub(super) fn new(places: Vec<ConnectionInfo>, name: String, node: ConnectionInfo) -> Self {
        Self { places, name, node, trusted: Mutex::default() }
    }

    /// Where the master is, says the first Sentinel that answers.
    ///
    /// # Errors
    /// None of them answers, or none knows the master.
    pub(super) async fn master(&self) -> RedisResult<ConnectionInfo> {
        let mut trusted = self.trusted.lock().await;
        if let Some(sentinel) = &mut *trusted
            && let Ok(place) = self.ask(sentinel).await
        {
            return Ok(place);
        }
        *trusted = None;
        let mut failure = RedisError::from((ErrorKind::EmptySentinelList, "no Sentinel is named"));
        for sentinel in &self.places {
            match self.visit(sentinel).await {
                Ok((sentinel, place)) => {
                    *trusted = Some(sentinel);
                    return Ok(place);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The password is the Redis servers'. Many Sentinels ask for none, and refuse who gives one.
    async fn visit(&self, sentinel: &ConnectionInfo) -> RedisResult<(MultiplexedConnection, ConnectionInfo)> {
        let with = sentinel.redis_settings().clone().set_db(0);
        let mut failure = None;
        for settings in [RedisConnectionInfo::default(), with] {
            let client = Client::open(sentinel.clone().set_redis_settings(settings))?;
            let found = async {
                let mut connection = client.get_multiplexed_async_connection_with_config(&limits()).await?;
                let place = self.ask(&mut connection).await?;
                Ok::<_, RedisError>((connection, place))
            };
            match found.await {
                Err(error) if failure.is_none() && error.code() == Some("NOAUTH") => failure = Some(error),
                found => return found,
            }
        }
        Err(failure.unwrap_or_else(|| (ErrorKind::AuthenticationFailed, "a Sentinel wants a password").into()))
    }

    async fn ask(&self, sentinel: &mut MultiplexedConnection) -> RedisResult<ConnectionInfo> {
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&self.name);
        let place: Option<(String, u16)> = question.query_async(sentinel).await?;
        let (host, port) = place.ok_or_else(|| {
            let kind = ErrorKind::MasterNameNotFoundBySentinel;
            RedisError::from((kind, "the Sentinels know no master of this name", self.name.clone()))
        })?;
        Ok(at(&self.node, &host, port))
    }
}

fn limits() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE))
}
