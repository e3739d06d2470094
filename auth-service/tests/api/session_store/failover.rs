//! Masters that are killed, pause, or move their keys: no session is lost, and no used token works again.

use std::sync::Arc;
use std::time::Duration;

use auth_service::sessions::{Cursor, Session, SessionId};
use rustix::process::Signal;
use shared_claims::Revocation;
use shared_service::database::StoreError;
use tokio::join;
use tokio::time::{sleep, timeout};

use super::outages::RECOVERY;
use super::owners::{Load, Owner};
use super::records::index_of;
use super::{RULES, Stage, redis_stage};
use crate::redis_server::{Cluster, Redis, Watched, until};

const OWNERS: usize = 24;

/// Owners who will log out, and owners whose requests probe the store.
async fn audience(stage: &Arc<Stage>) -> (Vec<Owner>, Vec<Owner>) {
    let (mut gone, mut probes) = (vec![], vec![]);
    for _ in 0..OWNERS {
        gone.push(Owner::new(stage).await);
        probes.push(Owner::new(stage).await);
    }
    (gone, probes)
}

/// Asserts that the first request of each probe is served, and that ended sessions stay ended.
async fn assert_recovered(gone: &[Owner], probes: &mut [Owner]) {
    sleep(RECOVERY).await; // The recovery is promised within this time.
    for probe in probes {
        assert!(probe.go_on().await, "the first request is served");
    }
    for owner in gone {
        owner.assert_gone().await;
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_redis_that_is_killed_keeps_all_it_acknowledged() {
    let mut redis = Redis::start().await;
    let stage = Arc::new(redis_stage(&redis.url(), RULES));
    let load = Load::start(&stage, OWNERS).await;
    let mut gone = vec![];
    for _ in 0..10 {
        let mut owner = Owner::new(&stage).await;
        owner.insist().await;
        owner.log_out().await;
        load.uses(OWNERS).await;
        redis.stop();
        redis.start_again().await;
        served_again(&stage).await;
        gone.push(owner);
    }
    for owner in &gone {
        owner.assert_gone().await;
    }
    load.settle().await;
}

async fn served_again(stage: &Arc<Stage>) {
    let served = until("the store answers", async || stage.store.ping().await.is_ok());
    timeout(RECOVERY, served).await.expect("served again within two seconds");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn cluster_without_some_masters_loses_no_session() {
    let mut cluster = Cluster::start().await;
    let stage = Arc::new(redis_stage(&cluster.url(), RULES));
    let load = Load::start(&stage, OWNERS).await;
    let (gone, mut probes) = audience(&stage).await;
    for owner in &gone {
        owner.log_out().await;
    }
    load.uses(OWNERS).await;
    cluster.nodes[0].stop();
    cluster.promoted(3).await;
    assert_recovered(&gone, &mut probes).await;

    // A paused server closes no connection: a client without a timeout would wait for ever.
    cluster.nodes[1].signal(Signal::STOP);
    cluster.promoted(4).await;
    assert_recovered(&gone, &mut probes).await;
    cluster.nodes[1].signal(Signal::CONT);
    cluster.nodes[0].start_again().await;
    for node in [0, 1] {
        cluster.demoted(node).await;
    }
    assert_recovered(&gone, &mut probes).await;
    load.uses(OWNERS).await;
    load.settle().await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn write_without_a_replica_is_not_acknowledged() {
    let cluster = Cluster::start().await;
    let stage = Arc::new(redis_stage(&cluster.url(), RULES));
    let mut owner = Owner::new(&stage).await;
    owner.insist().await;
    let slot: u16 = cluster.nodes[0].ask(&format!("CLUSTER KEYSLOT {}", index_of(&owner.user))).await;
    let replica = &cluster.nodes[3 + Cluster::master_of(slot)];
    // Another instance, whose connection has written nothing yet.
    let other = redis_stage(&cluster.url(), RULES);
    let more: [Stage; 6] = std::array::from_fn(|_| redis_stage(&cluster.url(), RULES));
    for other in more.iter().chain([&other]) {
        assert_eq!(other.store.list(&owner.user, None, 9).await.unwrap().len(), 1);
    }
    replica.signal(Signal::STOP);
    assert!(!owner.go_on().await, "a rotation");
    for store in [&other.store, &stage.store] {
        assert!(store.rotate(&owner.user, owner.id, owner.generation).await.is_err(), "the retry of the rotation");
    }
    assert!(stage.store.end(&owner.user, owner.id).await.is_err(), "an end");
    for store in [&other.store, &stage.store] {
        assert!(store.end(&owner.user, owner.id).await.is_err(), "the retry of the end");
    }
    let (user, id) = (&owner.user, owner.id);
    let [one, two, three, four, five, six] = &more;
    let (forgotten, revoked) = join!(one.store.end_forgotten(user, id), two.store.revoke_access_tokens(user));
    assert!(forgotten.is_err() && revoked.is_err());
    // Each of these repeats an unacknowledged write of another instance, and changes nothing.
    let newest = redis_stage(&cluster.url(), RULES);
    let outcomes = join!(
        newest.store.end(user, id),
        three.store.end(user, id),
        four.store.end_forgotten(user, id),
        five.store.revoke_access_tokens(user),
        six.store.rotate(user, id, owner.generation),
    );
    assert!(matches!(outcomes, (Err(_), Err(_), Err(_), Err(_), Err(_))), "{outcomes:?}");
    assert_eq!(stage.store.list(&owner.user, None, 9).await.unwrap().len(), 0, "a read needs no replica");
    replica.signal(Signal::CONT);
    until("the replica has it", async || matches!(stage.store.end(&owner.user, owner.id).await, Ok(false))).await;
    owner.assert_gone().await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_slot_that_moves_is_followed() {
    let cluster = Cluster::start().await;
    let stage = Arc::new(redis_stage(&cluster.url(), RULES));
    let mut owner = Owner::new(&stage).await;
    let index = index_of(&owner.user);
    let slot: u16 = cluster.nodes[0].ask(&format!("CLUSTER KEYSLOT {index}")).await;
    let (from, to) = (Cluster::master_of(slot), (Cluster::master_of(slot) + 1) % 3);
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    let (source_id, target_id): (String, String) = (source.ask("CLUSTER MYID").await, target.ask("CLUSTER MYID").await);

    target.ask::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {source_id}")).await;
    source.ask::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {target_id}")).await;
    assert!(owner.go_on().await, "no key has moved yet");
    let place = target.port();
    source.ask::<()>(&format!("MIGRATE 127.0.0.1 {place}  0 1000 KEYS {index} {index}:{}", owner.id)).await;
    assert!(owner.go_on().await, "ASK");
    for node in [target, source] {
        node.ask::<()>(&format!("CLUSTER SETSLOT {slot} NODE {target_id}")).await;
    }
    assert!(owner.go_on().await, "MOVED");
    owner.settle().await;
}

/// A user whose sessions are in the slot of the list's name.
async fn beside_the_name(stage: &Arc<Stage>) -> Owner {
    loop {
        let owner = Owner::new(stage).await;
        if index_of(&owner.user).starts_with("sessions:{07}:") {
            return owner;
        }
    }
}

/// Keys move one by one: calls meanwhile get an error that allows a retry, and lose nothing.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn slot_moved_key_by_key_loses_no_session() {
    let cluster = Cluster::start().await;
    let stage = Arc::new(redis_stage(&cluster.url(), RULES));
    let (mut one, mut two) = (beside_the_name(&stage).await, beside_the_name(&stage).await);
    let (late, gone) = (beside_the_name(&stage).await, beside_the_name(&stage).await);
    gone.log_out().await;
    drop(stage.store.revoked(&Cursor::default()).await.unwrap());
    let slot: u16 = cluster.nodes[0].ask("CLUSTER KEYSLOT {07}").await;
    let from = Cluster::master_of(slot);
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[(from + 1) % 3]);
    let name: String = source.ask("GET revocations:{07}:name").await;
    let (source_id, target_id): (String, String) = (source.ask("CLUSTER MYID").await, target.ask("CLUSTER MYID").await);
    target.ask::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {source_id}")).await;
    source.ask::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {target_id}")).await;
    let move_key = async |key: &str| {
        let moved: String = source.ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 1000", target.port())).await;
        assert_eq!(moved, "OK", "{key}");
    };

    stage.store.end_all(&late.user, None).await.expect_err("the step removes a key that it uses again");
    assert_eq!(stage.store.list(&late.user, None, 9).await.unwrap().len(), 1, "it has changed nothing");
    for (owner, index_first) in [(&mut one, true), (&mut two, false)] {
        let index = index_of(&owner.user);
        let record = format!("{index}:{}", owner.id);
        let (first, second) = if index_first { (&index, &record) } else { (&record, &index) };
        move_key(first).await;
        assert!(!owner.go_on().await, "one of two keys has moved, index first: {index_first}");
        stage.store.end(&owner.user, owner.id).await.expect_err("one of two keys has moved");
        let listed = stage.store.list(&owner.user, None, 9).await.map(drop);
        for outcome in [listed, stage.store.revoke_access_tokens(&owner.user).await] {
            assert!(matches!(outcome, Ok(()) | Err(StoreError::Unavailable { .. })), "no corrupt record: {outcome:?}");
        }
        move_key(second).await;
        assert!(owner.go_on().await, "both keys have moved, index first: {index_first}");
    }
    // The index and the list have moved, the record has not: the session ends all the same.
    let index = index_of(&late.user);
    move_key(&index).await;
    for key in ["revocations:{07}", "revocations:{07}:name"] {
        move_key(key).await;
        let changes = stage.store.revoked(&Cursor::default()).await.unwrap();
        let told = changes.shards[0].entries.iter().any(|(_, entry)| is_about(entry, gone.id));
        assert!(told, "{key} has moved");
    }
    stage.store.end_all(&late.user, None).await.unwrap();
    move_key(&format!("{index}:{}", late.id)).await;
    for node in [target, source] {
        node.ask::<()>(&format!("CLUSTER SETSLOT {slot} NODE {target_id}")).await;
    }
    assert_eq!(target.ask::<String>("GET revocations:{07}:name").await, name);
    late.assert_gone().await;
    for owner in [one, two] {
        owner.settle().await;
    }
}

/// For a while two servers are masters, and each ends a session. A reader of the abandoned server has a later position
/// than the entry on the other server.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn server_with_another_history_sends_its_whole_list() {
    let (old, new) = (Redis::with(&["--repl-diskless-sync-delay", "0"]).await, Redis::start().await);
    let stage = redis_stage(&old.url(), RULES);
    let [here, there, later] = [stage.open().await, stage.open().await, stage.open().await];
    let mut cursor = Cursor::default();
    cursor.move_past(&stage.store.revoked(&cursor).await.unwrap());
    new.ask::<()>(&format!("REPLICAOF 127.0.0.1 {}", old.port())).await;
    until("it has all", async || new.ask::<String>("INFO replication").await.contains("master_link_status:up")).await;
    new.ask::<()>("REPLICAOF NO ONE").await;
    let follower = redis_stage(&new.url(), RULES);
    let end = async |on: &Stage, session: &Session| {
        until("it ends", async || on.store.end(&stage.user, session.id).await.is_ok()).await;
        sleep(Duration::from_millis(5)).await;
    };
    end(&follower, &here).await;
    end(&stage, &there).await;
    cursor.move_past(&stage.store.revoked(&cursor).await.unwrap());
    end(&follower, &later).await;
    let changes = follower.store.revoked(&cursor).await.unwrap();
    assert!(changes.list != cursor.list, "the lists have different names");
    let told: Vec<_> = changes.shards.into_iter().flat_map(|shard| shard.entries).map(|(_, entry)| entry).collect();
    for session in [here, later] {
        assert!(told.iter().any(|entry| is_about(entry, session.id)), "{told:?}");
    }
}

fn is_about(entry: &Revocation, session: SessionId) -> bool {
    matches!(entry, Revocation::Session { sid, .. } if *sid == session.to_string())
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_master_that_dies_is_followed_by_another() {
    let mut watched = Watched::start().await;
    let stage = Arc::new(redis_stage(&watched.url(), RULES));
    let load = Load::start(&stage, OWNERS).await;
    let (gone, mut probes) = audience(&stage).await;
    for owner in &gone {
        owner.log_out().await;
    }
    load.uses(OWNERS).await;
    watched.servers[0].stop();
    watched.failed_over().await;
    assert_recovered(&gone, &mut probes).await;
    load.uses(OWNERS).await;
    load.settle().await;

    watched.blind();
    sleep(RECOVERY).await; // Several checks, in which no Sentinel responds.
    for probe in &mut probes {
        assert!(probe.go_on().await, "the master needs no Sentinel");
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn replaced_master_is_disconnected() {
    let watched = Watched::start().await;
    let stage = Arc::new(redis_stage(&watched.url(), RULES));
    let load = Load::start(&stage, OWNERS).await;
    let (gone, mut probes) = audience(&stage).await;
    for owner in &gone {
        owner.log_out().await;
    }
    watched.servers[0].signal(Signal::STOP);
    let master = watched.failed_over().await;
    assert_recovered(&gone, &mut probes).await;
    // The old master resumes, and still believes that it is the master.
    watched.servers[0].signal(Signal::CONT);
    assert_recovered(&gone, &mut probes).await;
    for probe in &probes {
        let key = format!("HGET {}:{} generation", index_of(&probe.user), probe.id);
        assert_eq!(watched.servers[master].ask::<i64>(&key).await, probe.generation, "the new master has the rotation");
    }
    load.settle().await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn server_that_becomes_a_replica_is_disconnected() {
    let (one, two) = (Redis::start().await, Redis::start().await);
    let stage = Arc::new(redis_stage(&one.url(), RULES));
    let mut owner = Owner::new(&stage).await;
    one.ask::<()>(&format!("REPLICAOF 127.0.0.1 {}", two.port())).await;
    assert!(!owner.go_on().await, "a replica cannot write: an outage, not a result");
    until("it is left", async || stage.store.ping().await.is_err()).await;
    one.ask::<()>("REPLICAOF NO ONE").await;
    sleep(RECOVERY).await; // The recovery is promised within this time.
    assert!(stage.store.ping().await.is_ok());
}
