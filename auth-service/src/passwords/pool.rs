use std::io;
use std::iter;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bcrypt_lanes::{Attempt, Lanes};
use tokio::sync::oneshot;

use super::job::{Job, PoolError};
use super::queue::Queue;
use crate::counts::HASHING;
use crate::limits::ClientNetwork;

/// The maximum number of queued jobs per thread.
const QUEUED_PER_THREAD: usize = 64;
/// The delay before a refusal is returned. Otherwise clients that retry at once, thousands a second, would take CPU
/// time from the hashing threads.
const PAUSE: Duration = Duration::from_millis(250);
/// The difference in niceness to the threads that serve requests.
const NICER: i32 = 10;

/// Threads for CPU-bound work: one per core, at a lower priority than those that serve requests, behind a bounded queue
/// in which clients take turns. Up to four verifications share a thread; other work has a thread for itself. A job
/// whose client has disconnected is skipped; a panic fails only its own job. Dropping the pool discards queued jobs, and
/// does not wait for running ones, because a hash cannot be interrupted.
pub struct Pool(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// A right password.
#[derive(Debug)]
pub struct Right {
    /// The index of the right attempt.
    pub attempt: usize,
    /// Completes when a wrong password would have been refused. Dropping it skips the other attempts.
    pub rest: oneshot::Receiver<()>,
}

impl Pool {
    /// Starts one thread per available core, and allows 64 queued jobs for each.
    ///
    /// # Errors
    /// The system provides no threads.
    pub fn start() -> io::Result<Self> {
        let threads = thread::available_parallelism()?;
        Self::of(threads, threads.get() * QUEUED_PER_THREAD)
    }

    /// Starts `threads` threads, and allows at most `capacity` queued jobs.
    ///
    /// # Errors
    /// The system provides no threads.
    pub fn of(threads: NonZeroUsize, capacity: usize) -> io::Result<Self> {
        let queue = Mutex::new(Queue::new(capacity, threads.get()));
        let pool = Self(Arc::new(Shared { queue, changed: Condvar::new() }));
        for number in 0..threads.get() {
            let shared = Arc::clone(&pool.0);
            thread::Builder::new().name(format!("hash-{number}")).spawn(move || shared.serve())?;
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads, when it is the turn of `asker`. Dropping the future before the work begins
    /// cancels the work.
    ///
    /// # Errors
    /// [`PoolError::Busy`] if the queue is full, [`PoolError::Failed`] if `work` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        asker: ClientNetwork,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (done, result) = oneshot::channel();
        let work = move || {
            // The receiver may be gone.
            let _ = done.send(work());
            None
        };
        self.queue(asker, iter::once_with(work).flatten(), true).await?;
        result.await.map_err(|_| did_not_end())
    }

    /// Runs `attempts` and returns the index of the first right one. The iterator runs on one of the threads, too, which
    /// has no other job meanwhile if this one `needs_thread`.
    pub(super) async fn queue(
        &self,
        asker: ClientNetwork,
        attempts: impl Iterator<Item = Attempt> + Send + 'static,
        needs_thread: bool,
    ) -> Result<Option<Right>, PoolError> {
        let (reply, answer) = oneshot::channel();
        let (rest, end) = oneshot::channel();
        let (attempts, reply, start) = (Box::new(attempts), Some(reply), Instant::now());
        let job = Job { attempts, begun: 0, needs_thread, start, reply, rest };
        let refused = self.0.lock().push(asker, job);
        self.0.changed.notify_one();
        if let Some((Job { reply: Some(reply), .. }, error)) = refused {
            drop(reply.send(Err(error)));
        }
        let verdict = answer.await.unwrap_or_else(|_| Err(did_not_end()));
        if matches!(verdict, Err(PoolError::Busy { .. })) {
            tokio::time::sleep(PAUSE).await;
        }
        verdict.map(|right| right.map(|attempt| Right { attempt, rest: end }))
    }

    /// The number of queued jobs.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.lock().len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let forgotten = self.0.lock().close();
        drop(forgotten);
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// No code panics while it holds the lock, so the queue behind a poisoned lock is intact.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        lower_priority();
        let mut lanes = Lanes::new();
        loop {
            match self.next(&lanes) {
                Some(job) if job.is_wanted() => self.begin(job, &mut lanes),
                None if lanes.is_empty() => return,
                _ => {}
            }
            self.step(&mut lanes);
        }
    }

    /// The next job for a thread with a free lane. A thread without work waits for a job, and takes precedence over a
    /// thread with work. `None` if there is no job, or the pool is dropped.
    fn next(&self, lanes: &Lanes<Job>) -> Option<Job> {
        let mut queue = self.lock();
        if lanes.is_empty() {
            queue.idle += 1;
            let is_idle = |queue: &mut Queue| !queue.closed && queue.len() == 0;
            queue = self.changed.wait_while(queue, is_idle).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        } else if lanes.is_full() || queue.idle > 0 {
            return None;
        }
        queue.pop()
    }

    fn begin(&self, mut job: Job, lanes: &mut Lanes<Job>) {
        while job.needs_thread && !lanes.is_empty() {
            self.step(lanes);
        }
        job.start = Instant::now();
        self.try_next(job, lanes, 1);
    }

    /// Does one round of each lane.
    fn step(&self, lanes: &mut Lanes<Job>) {
        let sharing = lanes.len();
        for (mut job, is_right) in lanes.step() {
            if is_right {
                let right = job.begun - 1;
                self.reply(&mut job, Some(right), sharing);
            }
            if job.is_wanted() {
                self.try_next(job, lanes, sharing);
            }
        }
    }

    fn try_next(&self, mut job: Job, lanes: &mut Lanes<Job>, sharing: usize) {
        match catch_unwind(AssertUnwindSafe(|| job.attempts.next())) {
            Ok(Some(attempt)) => {
                job.begun += 1;
                lanes.start(attempt, job);
            }
            Ok(None) => self.reply(&mut job, None, sharing),
            Err(_) => log::error!("a hashing job panicked"),
        }
    }

    /// Sends the verdict on one of the `sharing` jobs of a thread, unless that was done.
    fn reply(&self, job: &mut Job, right: Option<usize>, sharing: usize) {
        let Some(reply) = job.reply.take() else { return };
        let took = job.start.elapsed();
        self.lock().took(took, sharing);
        // Recorded before the result is sent, so that the receiver finds it in the metrics.
        metrics::histogram!(HASHING.0).record(took);
        let _ = reply.send(Ok(right));
    }
}

fn did_not_end() -> PoolError {
    PoolError::Failed("the job did not end".into())
}

/// On Linux each thread has its own priority; elsewhere this would slow the whole process, so it does nothing.
#[cfg(target_os = "linux")]
fn lower_priority() {
    let this = Some(rustix::thread::gettid());
    let lowered = rustix::process::getpriority_process(this)
        .and_then(|now| rustix::process::setpriority_process(this, (now + NICER).min(19)));
    if let Err(error) = lowered {
        log::warn!("the priority of the hashing threads cannot be lowered: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}
