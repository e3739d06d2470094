use std::collections::{HashMap, VecDeque};

use crate::limits::ClientNetwork;

/// The reason why a job was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The queue is full, or the wait too long; the client may retry after this time.
    #[error("too many passwords are being hashed; try again in {retry_after_secs} s")]
    Busy {
        /// The estimated time until the queue is empty, 1 to 60.
        retry_after_secs: u64,
    },
    /// The job panicked, the system provided no random numbers, or the program is stopping.
    #[error("hashing failed: {0}")]
    Failed(String),
}

/// The queued jobs. Sites take turns, and within a site its networks, so a site with many jobs delays another by one
/// job at most, from however many networks it sends them. The first job to be refused belongs to the site with the most
/// jobs, and there to the network with the most.
#[derive(Default)]
pub(super) struct Queue {
    jobs: Turns<Turns<VecDeque<Box<dyn Job>>>>,
    pub(super) waiting: usize,
    pub(super) closed: bool,
}

impl Queue {
    pub(super) fn push(&mut self, asker: ClientNetwork, job: Box<dyn Job>) {
        self.jobs.lane(asker.site()).lane(asker).push_back(job);
        self.waiting += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Box<dyn Job>> {
        let job = self.jobs.pop()?;
        self.waiting -= 1;
        Some(job)
    }

    /// Removes the newest job of the site with the most jobs, if those are more than the site of `asker` would have
    /// with one more; otherwise of a network of that site, by the same rule.
    pub(super) fn take_from_the_greediest(&mut self, asker: ClientNetwork) -> Option<Box<dyn Job>> {
        let site = self.jobs.lanes.get(&asker.site());
        let (of_site, own) = (site.map_or(0, Lane::len), site.map_or(0, |site| site.len_of(asker)));
        let job = match self.jobs.greediest(of_site + 1) {
            Some(site) => site.greediest(0)?.pop_back()?,
            None => self.jobs.lanes.get_mut(&asker.site())?.greediest(own + 1)?.pop_back()?,
        };
        self.waiting -= 1;
        Some(job)
    }

    /// Refuses new jobs, and returns the queued ones.
    pub(super) fn close(&mut self) -> Self {
        std::mem::replace(self, Self { closed: true, ..Self::default() })
    }

    /// Drops the jobs whose clients have gone.
    pub(super) fn prune(&mut self) {
        self.jobs.prune();
        self.waiting = self.jobs.len();
    }

    /// The number of jobs before the next one of `asker`.
    pub(super) fn before(&self, asker: ClientNetwork) -> usize {
        let site = self.jobs.lanes.get(&asker.site());
        let in_site = site.map_or(0, |site| site.before(asker, site.len_of(asker)));
        self.jobs.before(asker.site(), in_site)
    }
}

/// An ordered set of jobs.
trait Lane: Default {
    fn len(&self) -> usize;
    fn pop(&mut self) -> Option<Box<dyn Job>>;
    fn prune(&mut self);
}

impl Lane for VecDeque<Box<dyn Job>> {
    fn len(&self) -> usize {
        self.len()
    }

    fn pop(&mut self) -> Option<Box<dyn Job>> {
        self.pop_front()
    }

    fn prune(&mut self) {
        self.retain(|job| job.is_wanted());
    }
}

/// Lanes that take turns. An empty one stays until its turn.
#[derive(Default)]
struct Turns<L> {
    order: VecDeque<ClientNetwork>,
    lanes: HashMap<ClientNetwork, L>,
}

impl<L: Lane> Turns<L> {
    fn lane(&mut self, of: ClientNetwork) -> &mut L {
        self.lanes.entry(of).or_insert_with(|| {
            self.order.push_back(of);
            L::default()
        })
    }

    fn len_of(&self, asker: ClientNetwork) -> usize {
        self.lanes.get(&asker).map_or(0, L::len)
    }

    /// The longest lane, if it is longer than `bound`.
    fn greediest(&mut self, bound: usize) -> Option<&mut L> {
        self.lanes.values_mut().max_by_key(|lane| lane.len()).filter(|lane| lane.len() > bound)
    }

    /// The number of jobs before the job of `asker` that has `own` jobs of its lane before it.
    fn before(&self, asker: ClientNetwork, own: usize) -> usize {
        let others = self.lanes.iter().filter(|(other, _)| **other != asker);
        own + others.map(|(_, lane)| lane.len().min(own + 1)).sum::<usize>()
    }
}

impl<L: Lane> Lane for Turns<L> {
    fn len(&self) -> usize {
        self.lanes.values().map(L::len).sum()
    }

    fn pop(&mut self) -> Option<Box<dyn Job>> {
        loop {
            let asker = self.order.pop_front()?;
            let lane = self.lanes.get_mut(&asker)?;
            let job = lane.pop();
            if lane.len() == 0 {
                self.lanes.remove(&asker);
            } else {
                self.order.push_back(asker);
            }
            if job.is_some() {
                return job;
            }
        }
    }

    fn prune(&mut self) {
        self.lanes.values_mut().for_each(L::prune);
    }
}

/// A closure, and the receiver of its result.
pub(super) trait Job: Send {
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>);
    fn refuse(self: Box<Self>, error: PoolError);
}
