//! What `REDIS_URL` names: one server, the master that Sentinels watch, or a Cluster.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

const SENTINEL_PORT: &str = "26379";
const REDIS_PORT: &str = "6379";

/// Where Redis is, and what it is told there. It may hold a password, so it does not print itself.
#[derive(Clone)]
pub struct RedisAddress(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    One(ConnectionInfo),
    /// The servers that know who is the master called `name`; `node` is how the master is spoken to.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        name: String,
        node: ConnectionInfo,
    },
    /// Some nodes, which know the others.
    Cluster(Vec<ConnectionInfo>),
}

/// The text is no address of Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "must be redis://user:password@host:6379/0, redis+sentinel://host:26379,host:26379/name-of-the-master or \
    redis-cluster://host:6379,host:6379; with rediss in the place of redis it is TLS"
)]
pub struct NotAnAddress;

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisAddress")
    }
}

impl FromStr for RedisAddress {
    type Err = NotAnAddress;

    fn from_str(url: &str) -> Result<Self, NotAnAddress> {
        let (scheme, rest) = url.split_once("://").ok_or(NotAnAddress)?;
        let kind = match scheme {
            "redis" | "rediss" => Kind::One(url.into_connection_info().map_err(|_| NotAnAddress)?),
            "redis+sentinel" => sentinel("redis", rest)?,
            "rediss+sentinel" => sentinel("rediss", rest)?,
            "redis-cluster" => Kind::Cluster(nodes("redis", rest.trim_end_matches('/'), REDIS_PORT, "")?),
            "rediss-cluster" => Kind::Cluster(nodes("rediss", rest.trim_end_matches('/'), REDIS_PORT, "")?),
            _ => return Err(NotAnAddress),
        };
        Ok(Self(kind))
    }
}

/// `[user:password@]host:port,host:port/name[/db]`. The credentials are for the Redis servers.
fn sentinel(scheme: &str, rest: &str) -> Result<Kind, NotAnAddress> {
    let (authority, path) = rest.split_once('/').ok_or(NotAnAddress)?;
    let (name, db) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() {
        return Err(NotAnAddress);
    }
    let sentinels = nodes(scheme, authority, SENTINEL_PORT, db)?;
    let node = sentinels.first().cloned().ok_or(NotAnAddress)?;
    Ok(Kind::Sentinel { sentinels, name: name.to_owned(), node })
}

/// One connection for each host of `[user:password@]host:port,host:port`.
fn nodes(scheme: &str, authority: &str, port: &str, db: &str) -> Result<Vec<ConnectionInfo>, NotAnAddress> {
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
        None => (String::new(), authority),
    };
    let node = |host: &str| {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = if has_port { String::new() } else { format!(":{port}") };
        if host.is_empty() || host.contains('/') {
            return Err(NotAnAddress);
        }
        format!("{scheme}://{credentials}{host}{port}/{db}").into_connection_info().map_err(|_| NotAnAddress)
    };
    hosts.split(',').map(node).collect()
}

/// `node`, spoken to in the same way, at another place.
pub(super) fn at(node: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let mut addr = node.addr().clone();
    match &mut addr {
        ConnectionAddr::TcpTls { host: known, port: known_port, .. } | ConnectionAddr::Tcp(known, known_port) => {
            host.clone_into(known);
            *known_port = port;
        }
        _ => addr = ConnectionAddr::Tcp(host.to_owned(), port),
    }
    node.clone().set_addr(addr)
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn places(nodes: &[ConnectionInfo]) -> Vec<String> {
        nodes.iter().map(|node| node.addr().to_string()).collect()
    }

    #[test]
    fn one_server_has_the_address_that_everybody_knows() {
        let Ok(RedisAddress(Kind::One(node))) = "rediss://me:secret@redis.example:7000/3".parse() else { panic!() };
        assert_eq!(places(from_ref(&node)), ["redis.example:7000"]);
        assert!(matches!(node.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
        let redis = node.redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("me"), Some("secret"), 3));
    }

    #[test]
    fn sentinels_are_listed_before_the_name_of_the_master() {
        let text = "redis+sentinel://:p%40ss@one:1,two,[::1],[::2]:4/mymaster/2";
        let Ok(RedisAddress(Kind::Sentinel { sentinels, name, node })) = text.parse() else { panic!() };
        assert_eq!(places(&sentinels), ["one:1", "two:26379", "::1:26379", "::2:4"]);
        assert_eq!(name, "mymaster");
        assert_eq!((node.redis_settings().password(), node.redis_settings().db()), (Some("p@ss"), 2));
        let node = at(&node, "three", 6379);
        assert_eq!(places(from_ref(&node)), ["three:6379"]);
        assert_eq!(node.redis_settings().password(), Some("p@ss"));
    }

    #[test]
    fn a_cluster_is_some_of_its_nodes() {
        for text in ["rediss-cluster://one:1,two", "rediss-cluster://one:1,two/"] {
            let Ok(RedisAddress(Kind::Cluster(nodes))) = text.parse() else { panic!("{text}") };
            assert_eq!(places(&nodes), ["one:1", "two:6379"]);
            assert!(nodes.iter().all(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. })));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "redis",
            "localhost:6379",
            "http://localhost:6379",
            "redis://",
            "redis://host:port",
            "redis+sentinel://one:1,two:2",
            "redis+sentinel://one:1,two:2/",
            "redis+sentinel:///mymaster",
            "redis+sentinel://one:1,,two:2/mymaster",
            "redis+sentinel://one:1/mymaster/first",
            "redis-cluster://",
            "redis-cluster://one:1/0",
            "redis-cluster://one:one",
        ] {
            assert_eq!(text.parse::<RedisAddress>().err(), Some(NotAnAddress), "{text:?}");
        }
    }
}
