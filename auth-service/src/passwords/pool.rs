use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::pace::Pace;
use crate::neighbourhood::Neighbourhood;

/// Jobs that may wait, for each thread: at a quarter of a second each, sixteen seconds of patience.
const QUEUED_PER_THREAD: usize = 64;
/// Nobody waits longer than this, in seconds, as far as the pace of the last jobs tells.
const LONGEST_WAIT: u64 = 15;
/// Whoever is refused is told so after this. Clients that come back at once, by the thousand in a second, would leave no
/// time for those who hash.
const PAUSE: Duration = Duration::from_millis(250);
/// How much nicer than the threads that serve requests.
const NICER: i32 = 10;

/// Why a job was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The queue is full, or it would take too long; the caller may come back after so many seconds.
    #[error("too many passwords are being hashed; try again in {retry_after_secs} s")]
    Busy {
        /// When the queue should have become empty, 1 to 60.
        retry_after_secs: u64,
    },
    /// The job panicked, the system gave no random numbers, or the program ends.
    #[error("hashing failed: {0}")]
    Failed(String),
}

/// Threads for work that takes the processor for a long time: one for each core, at a lower priority than those that
/// serve requests, with a bounded queue in front, in which those who ask take turns. A job whose requester has gone is skipped; a panic costs only the job
/// that panicked. Dropping the pool waits for the jobs that run and forgets those that wait.
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

/// Who waits, and for whom it is the next turn. Askers are served in turn, so one that asks for much delays another by one
/// job at most, and the first to be refused is a job of whoever has the most.
#[derive(Default)]
struct Queue {
    turns: VecDeque<Neighbourhood>,
    jobs: HashMap<Neighbourhood, VecDeque<Box<dyn Job>>>,
    waiting: usize,
    closed: bool,
}

impl Queue {
    fn push(&mut self, asker: Neighbourhood, job: Box<dyn Job>) {
        let jobs = self.jobs.entry(asker).or_default();
        if jobs.is_empty() {
            self.turns.push_back(asker);
        }
        jobs.push_back(job);
        self.waiting += 1;
    }

    fn pop(&mut self) -> Option<Box<dyn Job>> {
        let asker = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&asker)?;
        let job = jobs.pop_front()?;
        self.waiting -= 1;
        if jobs.is_empty() {
            self.jobs.remove(&asker);
        } else {
            self.turns.push_back(asker);
        }
        Some(job)
    }

    /// Takes back the newest job of whoever has the most, if that is more than `asker` would have with one more.
    fn take_from_the_greediest(&mut self, asker: Neighbourhood) -> Option<Box<dyn Job>> {
        let own = self.jobs.get(&asker).map_or(0, VecDeque::len);
        let most = self.jobs.values_mut().max_by_key(|jobs| jobs.len()).filter(|jobs| jobs.len() > own + 1)?;
        self.waiting -= 1;
        most.pop_back()
    }

    /// Drops the jobs that nobody waits for any more.
    fn prune(&mut self) {
        for jobs in self.jobs.values_mut() {
            jobs.retain(|job| job.is_wanted());
        }
        self.jobs.retain(|_, jobs| !jobs.is_empty());
        let jobs = &self.jobs;
        self.turns.retain(|asker| jobs.contains_key(asker));
        self.waiting = self.jobs.values().map(VecDeque::len).sum();
    }

    /// How many jobs come before the next one of `asker`.
    fn before(&self, asker: Neighbourhood) -> usize {
        let own = self.jobs.get(&asker).map_or(0, VecDeque::len);
        let others = self.jobs.iter().filter(|(other, _)| **other != asker);
        own + others.map(|(_, jobs)| jobs.len().min(own + 1)).sum::<usize>()
    }
}

/// A closure and whoever waits for what it says.
trait Job: Send {
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>);
    fn refuse(self: Box<Self>, error: PoolError);
}

struct Errand<F, T> {
    work: F,
    reply: oneshot::Sender<Result<T, PoolError>>,
}

impl<F: FnOnce() -> T + Send, T: Send> Job for Errand<F, T> {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(self: Box<Self>) {
        // Nobody there any more: the answer is worth nothing.
        let _ = self.reply.send(Ok((self.work)()));
    }

    fn refuse(self: Box<Self>, error: PoolError) {
        // As above.
        let _ = self.reply.send(Err(error));
    }
}

impl Pool {
    /// One thread for each core that this process may use, 64 jobs waiting for each.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start() -> io::Result<Self> {
        let threads = thread::available_parallelism()?;
        Self::of(threads, threads.get() * QUEUED_PER_THREAD)
    }

    /// `threads` threads, and at most `capacity` jobs that wait.
    ///
    /// # Errors
    /// The system gives no threads.
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

    /// Does `work` on one of the threads, when it is the turn of `asker`. Dropping the future before the work begins cancels it.
    ///
    /// # Errors
    /// [`PoolError::Busy`] when the queue is full, [`PoolError::Failed`] when `work` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        asker: Neighbourhood,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        if let Err(busy) = self.shared.push(asker, Box::new(Errand { work, reply })) {
            tokio::time::sleep(PAUSE).await;
            return Err(busy);
        }
        answer.await.unwrap_or_else(|_| Err(PoolError::Failed("the job did not end".into())))
    }

    /// Jobs that wait for a thread.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.shared.lock().waiting
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let forgotten = {
            let mut queue = self.shared.lock();
            std::mem::replace(&mut *queue, Queue { closed: true, ..Queue::default() })
        };
        drop(forgotten);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread of ours cannot panic: it catches what its jobs do.
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
    /// Nothing panics while it holds the lock, so a poisoned one still guards a whole queue.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, asker: Neighbourhood, job: Box<dyn Job>) -> Result<(), PoolError> {
        let mut queue = self.lock();
        if queue.waiting >= self.capacity {
            // Those who hung up must not keep out those who wait.
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

    /// The job whose turn it is; `None` when the pool ends.
    fn next(&self) -> Option<Box<dyn Job>> {
        let idle = |queue: &mut Queue| !queue.closed && queue.waiting == 0;
        self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// On Linux a thread has a priority of its own; elsewhere the whole process would be slowed, so nothing is done.
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
    fn the_threads_give_way() {
        let pool = Pool::of(NonZeroUsize::MIN, 1).unwrap();
        let here = rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let there =
            runtime.block_on(pool.run(Neighbourhood::default(), || {
                rustix::process::getpriority_process(Some(rustix::thread::gettid()))
            }));
        assert_eq!(there.unwrap().unwrap(), (here + NICER).min(19));
    }
}
