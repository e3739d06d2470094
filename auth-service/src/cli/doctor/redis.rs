use shared_service::operations::doctor::{CheckResult, clock};

use crate::redis::{RedisAddress, ServerFacts};

const WHAT: &str = "redis";
/// The oldest major version that supports our scripts.
const OLDEST: u32 = 7;

/// Checks that Redis answers, is durable, and has the right time.
pub(super) async fn redis(address: &RedisAddress) -> Vec<CheckResult> {
    let servers = address.checkup().await;
    servers
        .into_iter()
        .flat_map(|(place, said)| {
            said.map_or_else(|error| away(&place, &error), |it| of(&place, &it, address.is_cluster()))
        })
        .collect()
}

fn away(place: &str, error: &str) -> Vec<CheckResult> {
    let what = if error.contains("NoPerm") { "the user lacks a permission at" } else { "no answer from" };
    vec![CheckResult::fail(WHAT, format!("{what} {place}: {error}; logins and refreshes fail meanwhile"))]
}

fn of(place: &str, facts: &ServerFacts, is_cluster: bool) -> Vec<CheckResult> {
    let mut found = vec![version(place, facts)];
    if is_cluster && facts.cluster_ok.is_none() {
        found.push(CheckResult::fail(WHAT, format!("{place} is no part of a Cluster: say redis://{place}")));
    }
    found.extend(standing(place, facts));
    if facts.settings.is_empty() {
        let says = format!("{place} may not be asked how it keeps its data: allow the user +config|get");
        found.push(CheckResult::warn(WHAT, says));
    } else {
        found.extend([eviction(place, facts), durability(place, facts)]);
    }
    found.push(clock(place, facts.ahead_ms));
    found
}

fn version(place: &str, facts: &ServerFacts) -> CheckResult {
    let version = &facts.version;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST) {
        return CheckResult::ok(WHAT, format!("{place} answers, version {version}"));
    }
    CheckResult::fail(WHAT, format!("{place} has version {version:?}; {OLDEST} or newer is needed"))
}

fn standing(place: &str, facts: &ServerFacts) -> Vec<CheckResult> {
    let mut found = Vec::new();
    if facts.cluster_ok == Some(false) {
        found.push(CheckResult::fail(WHAT, format!("{place}: the Cluster does not serve all slots; see CLUSTER INFO")));
    }
    found.push(match (facts.master, facts.replicas) {
        (false, _) if facts.cluster_ok.is_some() => {
            CheckResult::ok(WHAT, format!("{place} is a replica of the Cluster"))
        }
        (false, _) => CheckResult::fail(WHAT, format!("{place} is a replica and takes no writes: name the master")),
        (true, 0) => CheckResult::ok(WHAT, format!("{place} is a master without replicas")),
        (true, some) => CheckResult::ok(WHAT, format!("{place} is a master, replicas: {some}")),
    });
    found
}

fn eviction(place: &str, facts: &ServerFacts) -> CheckResult {
    match setting(facts, "maxmemory-policy") {
        "noeviction" => CheckResult::ok(WHAT, format!("{place} drops nothing when it is full (noeviction)")),
        policy => {
            let says = format!("{place} has maxmemory-policy {policy}: full, it signs people out; set noeviction");
            CheckResult::warn(WHAT, says)
        }
    }
}

fn durability(place: &str, facts: &ServerFacts) -> CheckResult {
    match (setting(facts, "appendonly"), setting(facts, "appendfsync")) {
        ("yes", "always") => {
            CheckResult::ok(WHAT, format!("{place} keeps all that it acknowledged (appendfsync always)"))
        }
        ("yes", fsync) => {
            let says =
                format!("{place} has appendfsync {fsync}: a crash signs out who refreshed just before; set always");
            CheckResult::warn(WHAT, says)
        }
        (only, _) => {
            let says = format!("{place} has appendonly {only}: a restart logs all users out; set yes");
            CheckResult::warn(WHAT, says)
        }
    }
}

fn setting<'a>(facts: &'a ServerFacts, name: &str) -> &'a str {
    facts.settings.get(name).map_or("unknown", String::as_str)
}
