use std::collections::{HashMap, VecDeque};

use crate::neighbourhood::Neighbourhood;

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

/// Who waits, and for whom it is the next turn. Askers are served in turn, so one that asks for much delays another by one
/// job at most, and the first to be refused is a job of whoever has the most.
#[derive(Default)]
pub(super) struct Queue {
    turns: VecDeque<Neighbourhood>,
    jobs: HashMap<Neighbourhood, VecDeque<Box<dyn Job>>>,
    pub(super) waiting: usize,
    pub(super) closed: bool,
}

impl Queue {
    pub(super) fn push(&mut self, asker: Neighbourhood, job: Box<dyn Job>) {
        let jobs = self.jobs.entry(asker).or_default();
        if jobs.is_empty() {
            self.turns.push_back(asker);
        }
        jobs.push_back(job);
        self.waiting += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Box<dyn Job>> {
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
    pub(super) fn take_from_the_greediest(&mut self, asker: Neighbourhood) -> Option<Box<dyn Job>> {
        let own = self.jobs.get(&asker).map_or(0, VecDeque::len);
        let most = self.jobs.values_mut().max_by_key(|jobs| jobs.len()).filter(|jobs| jobs.len() > own + 1)?;
        self.waiting -= 1;
        most.pop_back()
    }

    /// Lets nobody wait any more; those who did.
    pub(super) fn close(&mut self) -> Self {
        std::mem::replace(self, Self { closed: true, ..Self::default() })
    }

    /// Drops the jobs that nobody waits for any more.
    pub(super) fn prune(&mut self) {
        for jobs in self.jobs.values_mut() {
            jobs.retain(|job| job.is_wanted());
        }
        self.jobs.retain(|_, jobs| !jobs.is_empty());
        let jobs = &self.jobs;
        self.turns.retain(|asker| jobs.contains_key(asker));
        self.waiting = self.jobs.values().map(VecDeque::len).sum();
    }

    /// How many jobs come before the next one of `asker`.
    pub(super) fn before(&self, asker: Neighbourhood) -> usize {
        let own = self.jobs.get(&asker).map_or(0, VecDeque::len);
        let others = self.jobs.iter().filter(|(other, _)| **other != asker);
        own + others.map(|(_, jobs)| jobs.len().min(own + 1)).sum::<usize>()
    }
}

/// A closure and whoever waits for what it says.
pub(super) trait Job: Send {
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>);
    fn refuse(self: Box<Self>, error: PoolError);
}
