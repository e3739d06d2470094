use std::collections::HashMap;
use std::time::Duration;

use super::job::{Job, PoolError};
use crate::limits::ClientNetwork;

/// The maximum estimated wait, in seconds; a job that would wait longer is refused.
const LONGEST_WAIT: u64 = 15;

/// The queued jobs. Sites take turns, and so do the networks within a site. So a site with many jobs delays another
/// site by one job at most, however many networks send them. If the queue is full, the refused job belongs to the site
/// with the most jobs, and there to the network with the most.
pub(super) struct Queue {
    /// In the order of arrival.
    jobs: Vec<Queued>,
    capacity: usize,
    threads: usize,
    /// The number of turns so far.
    turns: u64,
    /// A moving average of the time that a thread takes for a job, in microseconds; 0 before the first.
    pace: u128,
    /// The number of threads without work.
    pub(super) idle: usize,
    pub(super) closed: bool,
}

/// A queued job.
pub(super) struct Queued {
    asker: ClientNetwork,
    site: ClientNetwork,
    /// The last turn of the site, and of the network; the turn of arrival if there was none.
    last: (u64, u64),
    job: Job,
}

impl Queue {
    /// Creates an empty queue of at most `capacity` jobs for `threads` threads.
    pub(super) const fn new(capacity: usize, threads: usize) -> Self {
        Self { jobs: Vec::new(), capacity, threads, turns: 0, pace: 0, idle: 0, closed: false }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Adds `job`. If there is no room, returns the refused job: this one, or one of the network with the most jobs.
    pub(super) fn push(&mut self, asker: ClientNetwork, job: Job) -> Option<(Job, PoolError)> {
        if self.len() >= self.capacity {
            // Jobs of clients that have disconnected must not block others.
            self.jobs.retain(|queued| queued.job.is_wanted());
        }
        let before = self.before(asker);
        if self.seconds_for(before) > LONGEST_WAIT {
            return Some((job, self.busy(before)));
        }
        let refused = match (self.len() >= self.capacity).then(|| self.greediest(asker)) {
            None => None,
            Some(None) => return Some((job, self.busy(before))),
            Some(Some(place)) => Some((self.jobs.remove(place).job, self.busy(self.len()))),
        };
        self.turns += 1;
        let site = asker.site();
        let of_site = self.jobs.iter().find(|queued| queued.site == site).map_or(self.turns, |queued| queued.last.0);
        let own = self.jobs.iter().find(|queued| queued.asker == asker).map_or(self.turns, |queued| queued.last.1);
        self.jobs.push(Queued { asker, site, last: (of_site, own), job });
        refused
    }

    /// Removes and returns the job of the network whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let (next, _) = self.jobs.iter().enumerate().min_by_key(|(_, queued)| queued.last)?;
        let next = self.jobs.remove(next);
        self.turns += 1;
        for queued in self.jobs.iter_mut().filter(|queued| queued.site == next.site) {
            queued.last.0 = self.turns;
            if queued.asker == next.asker {
                queued.last.1 = self.turns;
            }
        }
        Some(next.job)
    }

    /// Closes the queue, so that the threads end, and returns the queued jobs.
    pub(super) fn close(&mut self) -> Vec<Queued> {
        self.closed = true;
        std::mem::take(&mut self.jobs)
    }

    /// Records the time that one of `sharing` jobs of a thread took.
    pub(super) fn took(&mut self, took: Duration, sharing: usize) {
        let took = took.as_micros() / sharing as u128;
        self.pace = if self.pace == 0 { took } else { self.pace - self.pace / 8 + took / 8 };
    }

    fn busy(&self, before: usize) -> PoolError {
        PoolError::Busy { retry_after_secs: self.seconds_for(before) }
    }

    /// The estimated time for `waiting` jobs, in seconds, 1 to 60.
    fn seconds_for(&self, waiting: usize) -> u64 {
        let micros = self.pace.saturating_mul(waiting as u128) / self.threads as u128;
        u64::try_from(micros.div_ceil(1_000_000)).unwrap_or(u64::MAX).clamp(1, 60)
    }

    /// The number of jobs that run before the next job of `asker`.
    fn before(&self, asker: ClientNetwork) -> usize {
        let of_site = self.of_site(asker.site());
        let own = of_site.clone().filter(|network| *network == asker).count();
        let in_site = before(of_site.filter(|network| *network != asker), own);
        before(self.sites().filter(|site| *site != asker.site()), in_site)
    }

    /// The index of the job to refuse: the newest one of the network with the most jobs. The network is in the site
    /// with the most jobs, if that has more than the site of `asker` would have with one more. Otherwise it is in the
    /// site of `asker`, by the same rule.
    fn greediest(&self, asker: ClientNetwork) -> Option<usize> {
        let of_site = self.of_site(asker.site());
        let own = of_site.clone().filter(|network| *network == asker).count();
        let network = match most(self.sites(), of_site.clone().count() + 1) {
            Some(site) => most(self.of_site(site), 0),
            None => most(of_site, own + 1),
        }?;
        self.jobs.iter().rposition(|queued| queued.asker == network)
    }

    fn sites(&self) -> impl Iterator<Item = ClientNetwork> {
        self.jobs.iter().map(|queued| queued.site)
    }

    /// The network of each job of `site`.
    fn of_site(&self, site: ClientNetwork) -> impl Iterator<Item = ClientNetwork> + Clone {
        self.jobs.iter().filter(move |queued| queued.site == site).map(|queued| queued.asker)
    }
}

/// The number of jobs before a job that has `own` jobs of its group before it, if `others` take turns with that group.
fn before(others: impl Iterator<Item = ClientNetwork>, own: usize) -> usize {
    let mut turns = HashMap::new();
    own + others.filter(|other| *turns.entry(*other).and_modify(|turns| *turns += 1).or_insert(0) <= own).count()
}

/// The site or network with the most jobs, if it has more than `bound`.
fn most(askers: impl Iterator<Item = ClientNetwork>, bound: usize) -> Option<ClientNetwork> {
    let mut jobs = HashMap::new();
    askers.for_each(|asker| *jobs.entry(asker).or_insert(0) += 1);
    jobs.into_iter().max_by_key(|(_, jobs)| *jobs).filter(|(_, jobs)| *jobs > bound).map(|(asker, _)| asker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_queue() {
        let cases = [
            ((0, 1), 1, "never 0"),
            ((32, 1), 8, "32 of a quarter"),
            ((33, 1), 9, "rounded up"),
            ((64, 4), 4, "four threads"),
            ((9_999, 1), 60, "never forever"),
        ];
        for ((waiting, threads), expected, why) in cases {
            let mut queue = Queue::new(0, threads);
            queue.took(Duration::from_secs(1), 4);
            assert_eq!(queue.seconds_for(waiting), expected, "{why}");
        }
    }
}
