use shared_service::operations::doctor::{Finding, clock};

use crate::redis::{RedisAddress, ServerFacts};

const WHAT: &str = "redis";
/// The first major version that does what our scripts ask.
const OLDEST: u32 = 7;

/// Whether Redis answers, keeps what it is told, and tells the same time.
pub(super) async fn redis(address: &RedisAddress) -> Vec<Finding> {
    let servers = address.checkup().await;
    servers
        .into_iter()
        .flat_map(|(place, said)| {
            said.map_or_else(|error| away(&place, &error), |it| of(&place, &it, address.is_cluster()))
        })
        .collect()
}

fn away(place: &str, error: &str) -> Vec<Finding> {
    vec![Finding::bad(WHAT, format!("no answer from {place}: {error}; nobody can sign in or refresh meanwhile"))]
}

fn of(place: &str, facts: &ServerFacts, is_cluster: bool) -> Vec<Finding> {
    let mut found = vec![version(place, facts)];
    if is_cluster && facts.cluster_ok.is_none() {
        found.push(Finding::bad(WHAT, format!("{place} is no part of a Cluster: say redis://{place}")));
    }
    found.extend(standing(place, facts));
    if facts.settings.is_empty() {
        let says = format!("{place} may not be asked how it keeps its data: allow the user +config|get");
        found.push(Finding::doubtful(WHAT, says));
    } else {
        found.extend([eviction(place, facts), durability(place, facts)]);
    }
    found.push(clock(place, facts.ahead_ms));
    found
}

fn version(place: &str, facts: &ServerFacts) -> Finding {
    let version = &facts.version;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST) {
        return Finding::good(WHAT, format!("{place} answers, version {version}"));
    }
    Finding::bad(WHAT, format!("{place} has version {version:?}; {OLDEST} or newer is needed"))
}

fn standing(place: &str, facts: &ServerFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.cluster_ok == Some(false) {
        found.push(Finding::bad(WHAT, format!("{place}: the Cluster does not serve all slots; see CLUSTER INFO")));
    }
    found.push(match (facts.master, facts.replicas) {
        (false, _) if facts.cluster_ok.is_some() => Finding::good(WHAT, format!("{place} is a replica of the Cluster")),
        (false, _) => Finding::bad(WHAT, format!("{place} is a replica and takes no writes: name the master")),
        (true, 0) => Finding::good(WHAT, format!("{place} is a master without replicas")),
        (true, some) => Finding::good(WHAT, format!("{place} is a master, replicas: {some}")),
    });
    found
}

fn eviction(place: &str, facts: &ServerFacts) -> Finding {
    match setting(facts, "maxmemory-policy") {
        "noeviction" => Finding::good(WHAT, format!("{place} drops nothing when it is full (noeviction)")),
        policy => {
            let says = format!("{place} has maxmemory-policy {policy}: full, it signs people out; set noeviction");
            Finding::doubtful(WHAT, says)
        }
    }
}

fn durability(place: &str, facts: &ServerFacts) -> Finding {
    match (setting(facts, "appendonly"), setting(facts, "appendfsync")) {
        ("yes", "always") => {
            Finding::good(WHAT, format!("{place} keeps all that it acknowledged (appendfsync always)"))
        }
        ("yes", fsync) => {
            let says =
                format!("{place} has appendfsync {fsync}: a crash signs out who refreshed just before; set always");
            Finding::doubtful(WHAT, says)
        }
        (only, _) => {
            let says = format!("{place} has appendonly {only}: a restart signs everybody out; set yes");
            Finding::doubtful(WHAT, says)
        }
    }
}

fn setting<'a>(facts: &'a ServerFacts, name: &str) -> &'a str {
    facts.settings.get(name).map_or("unknown", String::as_str)
}
