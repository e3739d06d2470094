use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{DURABLE, Redis, free_port, until};
use crate::database::new_folder;

const NAME: &str = "mymaster";

/// Longer than the interval of Sentinel's pings, one second: with a shorter time, Sentinels may take a master that was
/// just promoted for dead, before their first ping to it.
const DOWN_AFTER_MS: u32 = 1500;

/// A master, two replicas, and three Sentinels that watch them.
pub struct Watched {
    pub servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl Watched {
    pub async fn start() -> Self {
        let master = Redis::with(&[&DURABLE[..], &["--repl-diskless-sync-delay", "0"]].concat()).await;
        let of_master = format!("127.0.0.1 {}", master.port());
        let mut servers = vec![master];
        for _ in 0..2 {
            let arguments = [&DURABLE[..], &["--replicaof", &of_master], &["--repl-diskless-sync-delay", "0"]];
            servers.push(Redis::with(&arguments.concat()).await);
        }
        until("both replicas are there", async || {
            servers[0].ask::<String>("INFO replication").await.matches("state=online").count() == 2
        })
        .await;
        let sentinels = (0..3).map(|_| Sentinel::start(servers[0].port())).collect();
        let watched = Self { servers, sentinels };
        for sentinel in &watched.sentinels {
            until("the sentinels know each other and the replicas", async || {
                let state = sentinel.ask(&["SENTINEL", "MASTER", NAME]).await.unwrap_or_default();
                let is = |name: &str, value: &str| state.windows(2).any(|pair| pair == [name, value]);
                is("num-slaves", "2") && is("num-other-sentinels", "2")
            })
            .await;
        }
        watched
    }

    pub fn url(&self) -> String {
        let places: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/{NAME}", places.join(","))
    }

    /// Waits until the Sentinels name another master than the first, and returns its index among the servers.
    pub async fn failed_over(&self) -> usize {
        until("another one is named", async || self.named().await != Some(0)).await;
        let master = self.named().await.unwrap();
        until("it is master", async || {
            self.servers[master].ask::<String>("INFO replication").await.contains("role:master")
        })
        .await;
        master
    }

    /// Stops the Sentinels, but not the servers.
    pub fn blind(&mut self) {
        self.sentinels.clear();
    }

    async fn named(&self) -> Option<usize> {
        let place = self.sentinels[0].ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).await?;
        self.servers.iter().position(|server| server.port().to_string() == place[1])
    }
}

impl Sentinel {
    fn start(master: u16) -> Self {
        let (port, folder) = (free_port(), new_folder());
        let file = folder.join("sentinel.conf");
        let lines = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
            sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\nsentinel failover-timeout {NAME} 3000\n",
            folder.display()
        );
        std::fs::write(&file, lines).unwrap();
        let process = Command::new("redis-server").arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn().unwrap();
        Self { process, port, folder }
    }

    async fn ask(&self, words: &[&str]) -> Option<Vec<String>> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.ok()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
