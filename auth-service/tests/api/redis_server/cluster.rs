use std::time::Duration;

use tokio::time::sleep;

use super::{DURABLE, Redis, free_port, until};

/// A Redis Cluster: three masters, then the replica of each.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

impl Cluster {
    pub async fn start() -> Self {
        let mut nodes = vec![];
        for _ in 0..6 {
            let mut arguments = DURABLE.to_vec();
            arguments.extend(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]);
            arguments.extend(["--repl-diskless-sync-delay", "0", "--repl-timeout", "5"]);
            nodes.push(Redis::at(free_port(), &arguments).await);
        }
        let cluster = Self { nodes };
        cluster.join().await;
        cluster
    }

    async fn join(&self) {
        let [one, two, three, ..] = &self.nodes[..] else { panic!("six nodes") };
        for (node, slots) in [(one, "0 5460"), (two, "5461 10922"), (three, "10923 16383")] {
            node.ask::<()>(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        }
        for (number, node) in self.nodes.iter().enumerate() {
            node.ask::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)).await;
        }
        for node in &self.nodes[1..] {
            one.ask::<()>(&format!("CLUSTER MEET 127.0.0.1 {}", node.port())).await;
        }
        for (number, replica) in self.nodes.iter().enumerate().skip(3) {
            let master: String = self.nodes[number - 3].ask("CLUSTER MYID").await;
            until("all know all", async || replica.ask::<String>("CLUSTER NODES").await.contains(&master)).await;
            replica.ask::<()>(&format!("CLUSTER REPLICATE {master}")).await;
        }
        self.healthy().await;
    }

    /// Waits until every node reports the cluster as ok, and every master has a connected replica.
    async fn healthy(&self) {
        for node in &self.nodes {
            until("the cluster is ok", async || {
                node.ask::<String>("CLUSTER INFO").await.contains("cluster_state:ok")
                    && node.ask::<String>("CLUSTER NODES").await.matches("slave").count() == 3
            })
            .await;
        }
        for master in &self.nodes[..3] {
            until("it has a replica", async || master.ask::<String>("INFO replication").await.contains("state=online"))
                .await;
        }
        // Nodes gossip ten times a second; the last messages may still be on their way.
        sleep(Duration::from_millis(200)).await;
    }

    /// The URL of the cluster, which names two of its nodes.
    pub fn url(&self) -> String {
        format!("redis-cluster://{},{}", self.nodes[0].place(), self.nodes[4].place())
    }

    /// The index of the node that was the slot's master in the beginning.
    pub fn master_of(slot: u16) -> usize {
        match slot {
            ..=5460 => 0,
            5461..=10922 => 1,
            10923.. => 2,
        }
    }

    /// Waits until this node is a replica in sync with its master.
    pub async fn demoted(&self, number: usize) {
        let node = &self.nodes[number];
        until("it is a replica", async || {
            node.ask::<String>("INFO replication").await.contains("master_link_status:up")
        })
        .await;
    }

    /// Waits until this node is a master.
    pub async fn promoted(&self, number: usize) {
        let node = &self.nodes[number];
        until("it is promoted", async || node.ask::<String>("INFO replication").await.contains("role:master")).await;
    }
}
