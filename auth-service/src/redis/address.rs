//! The address in `REDIS_URL`: one server, a master watched by Sentinels, or a Cluster.

use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use shared_service::StoreUrl;
use url::Url;

/// An address with credentials. Has no `Debug`, so that a password in it cannot be logged.
#[derive(Clone)]
pub struct RedisAddress(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    One(ConnectionInfo),
    /// Sentinels that know the master `name`; the master is contacted with the same options.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        name: String,
    },
    /// Some nodes of a Cluster; the client learns the others from them.
    Cluster(Vec<ConnectionInfo>),
}

const WRONG: &str = "must be redis://user:password@host:6379/0, \
    redis+sentinel://host:26379,host:26379/name-of-the-master or redis-cluster://host:6379,host:6379; \
    with rediss in the place of redis it is TLS";

impl FromStr for RedisAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url: StoreUrl = text.parse().map_err(|_| WRONG)?;
        let first = url.hosts().first().ok_or(WRONG)?;
        let (scheme, kind) = first.scheme().split_at(first.scheme().find(['+', '-']).unwrap_or(first.scheme().len()));
        if !["redis", "rediss"].contains(&scheme) {
            return Err(WRONG);
        }
        let kind = match (kind, first.path().trim_start_matches('/')) {
            ("", _) if url.hosts().len() == 1 => Kind::One(first.as_str().into_connection_info().map_err(|_| WRONG)?),
            ("+sentinel", path) => {
                let (name, db) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err(WRONG);
                }
                Kind::Sentinel { sentinels: nodes(&url, scheme, 26379, db)?, name: name.to_owned() }
            }
            ("-cluster", "") => Kind::Cluster(nodes(&url, scheme, 6379, "")?),
            _ => return Err(WRONG),
        };
        Ok(Self(kind))
    }
}

/// The connection options for each host; `port` is the default.
fn nodes(url: &StoreUrl, scheme: &str, port: u16, db: &str) -> Result<Vec<ConnectionInfo>, &'static str> {
    let node = |host: &Url| {
        let mut node = host.clone();
        let port = node.port().or(Some(port));
        node.set_scheme(scheme).and_then(|()| node.set_port(port)).map_err(|()| WRONG)?;
        node.set_path(db);
        node.into_connection_info().map_err(|_| WRONG)
    };
    url.hosts().iter().map(node).collect()
}

/// `node` with another host and port.
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
    fn redis_url_names_one_server() {
        let Ok(RedisAddress(Kind::One(node))) = "rediss://me:secret@redis.example:7000/3".parse() else { panic!() };
        assert_eq!(places(from_ref(&node)), ["redis.example:7000"]);
        assert!(matches!(node.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
        let redis = node.redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("me"), Some("secret"), 3));
    }

    #[test]
    fn sentinel_url_lists_sentinels_and_the_master_name() {
        let text = "redis+sentinel://:p%40ss@one:1,two,[::1],[::2]:4/mymaster/2";
        let Ok(RedisAddress(Kind::Sentinel { sentinels, name })) = text.parse() else { panic!() };
        let node = &sentinels[0];
        assert_eq!(places(&sentinels), ["one:1", "two:26379", "::1:26379", "::2:4"]);
        assert_eq!(name, "mymaster");
        assert_eq!((node.redis_settings().password(), node.redis_settings().db()), (Some("p@ss"), 2));
        let node = at(node, "three", 6379);
        assert_eq!(places(from_ref(&node)), ["three:6379"]);
        assert_eq!(node.redis_settings().password(), Some("p@ss"));
    }

    #[test]
    fn cluster_url_lists_nodes() {
        for text in ["rediss-cluster://one:1,two", "rediss-cluster://one:1,two/"] {
            let Ok(RedisAddress(Kind::Cluster(nodes))) = text.parse() else { panic!("{text}") };
            assert_eq!(places(&nodes), ["one:1", "two:6379"]);
            assert!(nodes.iter().all(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. })));
        }
    }

    #[test]
    fn other_redis_urls_are_refused() {
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
            assert_eq!(text.parse::<RedisAddress>().err(), Some(WRONG), "{text:?}");
        }
    }
}
