use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisConnectionInfo, RedisResult, TlsMode};

/// Clients for the Sentinels of one master, without and with the password of the Redis servers.
pub(super) struct Sentinels([SentinelClient; 2]);

impl Sentinels {
    /// Creates the clients. The connection options of the first Sentinel are also used for the master.
    pub(super) fn new(places: &[ConnectionInfo], name: &str) -> RedisResult<Self> {
        let first = places.first().ok_or((ErrorKind::EmptySentinelList, "no Sentinel is named"))?;
        let settings = first.redis_settings().clone();
        let client = |own: RedisConnectionInfo| {
            let mut master = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings.clone());
            if matches!(first.addr(), ConnectionAddr::TcpTls { .. }) {
                master = master.set_tls_mode(TlsMode::Secure);
            }
            let places = places.iter().map(|place| place.clone().set_redis_settings(own.clone())).collect();
            SentinelClient::build(places, name, Some(master), SentinelServerType::Master)
        };
        Ok(Self([client(RedisConnectionInfo::default())?, client(settings.clone().set_db(0))?]))
    }

    /// A client for the master that a Sentinel names, if that server confirms its role.
    ///
    /// # Errors
    /// No Sentinel answers, none knows the master, or the master does not answer.
    pub(super) async fn master(&mut self) -> RedisResult<Client> {
        let Self([without, with]) = self;
        // Many Sentinels have no password, and refuse a client that sends one.
        match without.async_get_client().await {
            Err(error) if error.code() == Some("NOAUTH") => with.async_get_client().await,
            found => found,
        }
    }
}
