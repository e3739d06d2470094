//! The pool of threads that hash passwords.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use auth_service::limits::ClientNetwork;
use auth_service::passwords::{NewPassword, PasswordHash, Passwords, Pool, PoolError};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

/// A pool whose only thread is busy until `release` is sent.
struct Blocked {
    pool: Arc<Pool>,
    release: mpsc::Sender<()>,
    job: JoinHandle<Result<(), PoolError>>,
}

impl Blocked {
    /// A pool with one blocked thread and a queue for `capacity` jobs.
    async fn with_room_for(capacity: usize) -> Self {
        let pool = Arc::new(Pool::of(NonZeroUsize::MIN, capacity).unwrap());
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let job = queue(&pool, move || {
            let _ = started.send(());
            let _ = released.recv();
        });
        has_started.await.unwrap();
        Self { pool, release, job }
    }

    /// Queues a job, and returns once it is in the queue.
    async fn queue<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<Result<T, PoolError>> {
        let before = self.pool.depth();
        let job = queue(&self.pool, work);
        while self.pool.depth() == before {
            yield_now().await;
        }
        job
    }
}

fn queue<T: Send + 'static>(
    pool: &Arc<Pool>,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<Result<T, PoolError>> {
    let pool = Arc::clone(pool);
    tokio::spawn(async move { pool.run(ClientNetwork::default(), work).await })
}

/// Cancels a job, as happens when its client disconnects.
async fn hang_up<T>(job: JoinHandle<Result<T, PoolError>>) {
    job.abort();
    assert!(job.await.is_err_and(|error| error.is_cancelled()));
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let blocked = Blocked::with_room_for(2).await;
    let waiting = [blocked.queue(|| 1).await, blocked.queue(|| 2).await];
    assert_eq!(blocked.pool.depth(), 2);
    assert_eq!(blocked.pool.run(ClientNetwork::default(), || 3).await, Err(PoolError::Busy { retry_after_secs: 1 }));
    blocked.release.send(()).unwrap();
    let mut done = Vec::new();
    for job in waiting {
        done.push(job.await.unwrap().unwrap());
    }
    assert_eq!(done, [1, 2], "the waiting jobs run in order");
    assert_eq!(blocked.pool.run(ClientNetwork::default(), || 3).await, Ok(3), "the queue has room again");
}

#[tokio::test]
async fn client_with_many_jobs_delays_others_by_one_job() {
    let blocked = Blocked::with_room_for(4).await;
    let (greedy, modest) = (address("192.0.2.1"), address("192.0.2.2"));
    let (sender, order) = mpsc::channel();
    let ask = |asker, job: &'static str| {
        let (pool, sender) = (Arc::clone(&blocked.pool), sender.clone());
        tokio::spawn(async move { pool.run(asker, move || sender.send(job).unwrap()).await })
    };
    let mut jobs = Vec::new();
    for job in ["greedy 1", "greedy 2", "greedy 3", "greedy 4"] {
        let depth = blocked.pool.depth();
        jobs.push(ask(greedy, job));
        while blocked.pool.depth() == depth {
            yield_now().await;
        }
    }
    assert!(matches!(ask(greedy, "greedy 5").await.unwrap(), Err(PoolError::Busy { .. })), "the queue is full");
    let modest = ask(modest, "modest");
    assert!(
        matches!(jobs.pop().unwrap().await.unwrap(), Err(PoolError::Busy { .. })),
        "the newest job of the client with the most jobs is dropped"
    );
    blocked.release.send(()).unwrap();
    for job in jobs.into_iter().chain([modest]) {
        job.await.unwrap().unwrap();
    }
    assert_eq!(order.try_iter().collect::<Vec<_>>(), ["greedy 1", "modest", "greedy 2", "greedy 3"]);
}

/// The queue is full of jobs of 256 networks; two of these jobs are dropped.
#[tokio::test]
async fn many_networks_of_one_subscriber_delay_another_by_one_job() {
    let blocked = Blocked::with_room_for(256).await;
    let (sender, order) = mpsc::channel();
    let ask = |asker, job: String| {
        let (pool, sender) = (Arc::clone(&blocked.pool), sender.clone());
        tokio::spawn(async move { pool.run(asker, move || sender.send(job).unwrap()).await })
    };
    let mut jobs = Vec::new();
    for network in 0..256 {
        jobs.push(ask(address(&format!("2001:db8:1:{network:x}::1")), format!("flood {network}")));
        while blocked.pool.depth() <= network {
            yield_now().await;
        }
    }
    let other = ["192.0.2.1", "2001:db8:2::1"].map(|other| ask(address(other), other.to_owned()));
    while jobs.iter().filter(|job| job.is_finished()).count() < 2 {
        yield_now().await;
    }
    blocked.release.send(()).unwrap();
    for job in other {
        job.await.unwrap().unwrap();
    }
    let done: Vec<_> = order.iter().take(3).collect();
    assert!(done[0].starts_with("flood"), "{done:?}");
    assert!(done[1..].iter().all(|job| !job.starts_with("flood")), "{done:?}");
}

fn address(text: &str) -> ClientNetwork {
    ClientNetwork::from(text.parse().ok())
}

#[tokio::test]
async fn job_of_a_cancelled_request_is_skipped() {
    let blocked = Blocked::with_room_for(8).await;
    let ran = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ran);
    hang_up(blocked.queue(move || seen.store(true, Ordering::SeqCst)).await).await;
    let next = blocked.queue(|| ()).await;
    blocked.release.send(()).unwrap();
    next.await.unwrap().unwrap();
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn cancelled_jobs_do_not_fill_the_queue() {
    let blocked = Blocked::with_room_for(2).await;
    for _ in 0..2 {
        hang_up(blocked.queue(|| 1).await).await;
    }
    let next = queue(&blocked.pool, || 2);
    while blocked.pool.depth() != 1 {
        yield_now().await;
    }
    blocked.release.send(()).unwrap();
    assert_eq!(next.await.unwrap(), Ok(2));
}

#[tokio::test]
async fn a_panic_costs_only_its_job() {
    let pool = Pool::of(NonZeroUsize::MIN, 4).unwrap();
    for round in 0..3 {
        let broken = pool.run(ClientNetwork::default(), || panic!("as intended")).await;
        assert!(matches!(broken, Err(PoolError::Failed(_))));
        assert_eq!(pool.run(ClientNetwork::default(), move || round).await, Ok(round));
    }
}

#[tokio::test]
async fn the_callers_thread_does_not_hash() {
    let pool = Pool::start().unwrap();
    let there = pool.run(ClientNetwork::default(), || std::thread::current().id()).await.unwrap();
    assert_ne!(there, std::thread::current().id());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn hashing_threads_have_a_lower_priority() {
    let priority = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
    let pool = Pool::of(NonZeroUsize::MIN, 1).unwrap();
    let there = pool.run(ClientNetwork::default(), priority).await.unwrap();
    assert_eq!(there, (priority() + 10).min(19));
}

#[tokio::test]
async fn dropped_pool_finishes_running_jobs_and_discards_queued_ones() {
    let blocked = Blocked::with_room_for(4).await;
    let ran = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ran);
    hang_up(blocked.queue(move || seen.store(true, Ordering::SeqCst)).await).await;
    hang_up(blocked.job).await;
    let pool = Arc::into_inner(blocked.pool).unwrap();
    let end = std::thread::spawn(move || drop(pool));
    assert!(!end.is_finished());
    blocked.release.send(()).unwrap();
    end.join().unwrap();
    assert!(!ran.load(Ordering::SeqCst));
}

/// Queues a verification of a right password for each of the costs, on one thread, and a new hash of cost 4 for 0.
/// Returns the costs in the order in which the jobs ended.
async fn order_of_ends(costs: &[u32]) -> Vec<u32> {
    let pool = Pool::of(NonZeroUsize::MIN, costs.len()).unwrap();
    let passwords = Arc::new(Passwords::on(pool, 4, None));
    let (sender, order) = mpsc::channel();
    for &cost in costs {
        let hash = bcrypt::hash("right", cost.max(4)).unwrap();
        let (passwords, sender) = (Arc::clone(&passwords), sender.clone());
        tokio::spawn(async move {
            if cost == 0 {
                passwords.hash(NewPassword::random()).await.unwrap();
            } else {
                let hash = PasswordHash::parse(hash).unwrap();
                assert!(passwords.verify(ClientNetwork::default(), "right", &hash).await.unwrap().is_some());
            }
            sender.send(cost).unwrap();
        });
    }
    drop(sender);
    tokio::task::spawn_blocking(move || order.iter().collect()).await.unwrap()
}

#[tokio::test]
async fn later_verification_joins_a_running_one() {
    assert_eq!(order_of_ends(&[9, 4, 5]).await, [4, 5, 9]);
}

#[tokio::test]
async fn fifth_verification_waits_for_a_lane() {
    assert_eq!(order_of_ends(&[7, 9, 10, 8, 4]).await, [7, 4, 8, 9, 10]);
}

#[tokio::test]
async fn new_hash_waits_for_the_running_verifications() {
    assert_eq!(order_of_ends(&[8, 7, 0, 4]).await, [7, 8, 0, 4]);
}
