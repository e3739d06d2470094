use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::pace::Pace;
use super::queue::{Job, PoolError, Queue};
use crate::counts::HASHING;
use crate::limits::ClientNetwork;

/// The number of queued jobs per thread: sixteen seconds at a quarter of a second each.
const QUEUED_PER_THREAD: usize = 64;
/// The longest estimated wait, in seconds; longer ones are refused.
const LONGEST_WAIT: u64 = 15;
/// The delay of a refusal. Clients that retry at once, thousands a second, would take the CPU time of the hashing
/// threads.
const PAUSE: Duration = Duration::from_millis(250);
/// The difference in niceness to the threads that serve requests.
const NICER: i32 = 10;

/// Threads for CPU-bound work: one per core, at a lower priority than those that serve requests, behind a bounded queue
/// in which clients take turns. A job whose client has gone is skipped; a panic only fails its own job. Dropping the
/// pool waits for running jobs and discards queued ones.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    capacity: usize,
    threads: usize,
    pace: Pace,
}

struct QueuedJob<F, T> {
    work: F,
    reply: oneshot::Sender<Result<T, PoolError>>,
}

impl<F: FnOnce() -> T + Send, T: Send> Job for QueuedJob<F, T> {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(self: Box<Self>) {
        let start = Instant::now();
        let done = (self.work)();
        // Recorded before the result is sent, so that the receiver finds it recorded.
        metrics::histogram!(HASHING.0).record(start.elapsed());
        // The receiver may be gone.
        let _ = self.reply.send(Ok(done));
    }

    fn refuse(self: Box<Self>, error: PoolError) {
        // As above.
        let _ = self.reply.send(Err(error));
    }
}

impl Pool {
    /// One thread per available core, with 64 queued jobs each.
    ///
    /// # Errors
    /// The system provides no threads.
    pub fn start() -> io::Result<Self> {
        let threads = thread::available_parallelism()?;
        Self::of(threads, threads.get() * QUEUED_PER_THREAD)
    }

    /// `threads` threads, and at most `capacity` queued jobs.
    ///
    /// # Errors
    /// The system provides no threads.
    pub fn of(threads: NonZeroUsize, capacity: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            capacity,
            threads: threads.get(),
            pace: Pace::default(),
        });
        let mut pool = Self { shared, threads: Vec::with_capacity(threads.get()) };
        for number in 0..threads.get() {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new().name(format!("hash-{number}")).spawn(move || shared.serve())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads, when it is the turn of `asker`. Dropping the future before the work begins
    /// cancels it.
    ///
    /// # Errors
    /// [`PoolError::Busy`] if the queue is full, [`PoolError::Failed`] if `work` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        asker: ClientNetwork,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        if let Err(busy) = self.shared.push(asker, Box::new(QueuedJob { work, reply })) {
            tokio::time::sleep(PAUSE).await;
            return Err(busy);
        }
        answer.await.unwrap_or_else(|_| Err(PoolError::Failed("the job did not end".into())))
    }

    /// The number of queued jobs.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.shared.lock().waiting
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let forgotten = self.shared.lock().close();
        drop(forgotten);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // The threads cannot panic: they catch the panics of jobs.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.shared.threads).field("depth", &self.depth()).finish()
    }
}

impl Shared {
    /// No code panics while it holds the lock, so the queue of a poisoned one is intact.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, asker: ClientNetwork, job: Box<dyn Job>) -> Result<(), PoolError> {
        let mut queue = self.lock();
        if queue.waiting >= self.capacity {
            // Jobs of clients that have gone must not block others.
            queue.prune();
        }
        let busy = |before| PoolError::Busy { retry_after_secs: self.pace.seconds_for(before, self.threads) };
        let before = queue.before(asker);
        if self.pace.seconds_for(before, self.threads) > LONGEST_WAIT {
            return Err(busy(before));
        }
        if queue.waiting >= self.capacity {
            let greedy = queue.take_from_the_greediest(asker).ok_or_else(|| busy(before))?;
            greedy.refuse(busy(queue.waiting));
        }
        queue.push(asker, job);
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    fn serve(&self) {
        lower_priority();
        while let Some(job) = self.next() {
            if !job.is_wanted() {
                continue;
            }
            let start = Instant::now();
            if catch_unwind(AssertUnwindSafe(|| job.run())).is_err() {
                log::error!("a hashing job panicked");
            }
            self.pace.took(start);
        }
    }

    /// The next job; `None` when the pool is dropped.
    fn next(&self) -> Option<Box<dyn Job>> {
        let idle = |queue: &mut Queue| !queue.closed && queue.waiting == 0;
        self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// On Linux each thread has its own priority; elsewhere this would slow the whole process, so it does nothing.
#[cfg(target_os = "linux")]
fn lower_priority() {
    let this = Some(rustix::thread::gettid());
    let lowered = rustix::process::getpriority_process(this)
        .and_then(|now| rustix::process::setpriority_process(this, (now + NICER).min(19)));
    if let Err(error) = lowered {
        log::warn!("hashing runs at the priority of everything else: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn hashing_threads_have_a_lower_priority() {
        let pool = Pool::of(NonZeroUsize::MIN, 1).unwrap();
        let here = rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let there =
            runtime.block_on(pool.run(ClientNetwork::default(), || {
                rustix::process::getpriority_process(Some(rustix::thread::gettid()))
            }));
        assert_eq!(there.unwrap().unwrap(), (here + NICER).min(19));
    }
}
