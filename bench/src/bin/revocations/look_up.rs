//! A look-up in the revocation list, as every request makes it.

use std::hint::black_box;
use std::time::Instant;

use shared_claims::{Revocation, Revocations};
use uuid::Uuid;

use crate::table::{Row, median};

/// Look-ups per pass, so few that the kernel interrupts hardly any pass. Each look-up has new names, because the memory
/// that the last names led to would be in the CPU's cache.
const LOOK_UPS: u32 = 2_000;
const PASSES: usize = 401;
/// Of a look-up among a million entries, in nanoseconds.
const LIMIT: f64 = 200.0;
/// Of a list of a million entries, in megabytes.
const MEMORY_LIMIT: f64 = 100.0;
/// The highest ratio for a list ten times as long. It allows for cache misses; a linear search would have 10.
const GROWTH: f64 = 2.0;

pub fn measure() -> [Row; 3] {
    // Measured first: later, the list would reuse memory that other lists have freed, and the figure would be too low.
    let before = resident();
    let list = list_of(1_000_000);
    let memory = resident() - before;
    drop(list);
    let [none, some, many] = [0, 100_000, 1_000_000].map(among);
    let times = format!("{none:.0}, {some:.0}, {many:.0} ns");
    let growth = many / some;
    [
        Row::promise("a look-up among 0, 100,000, 1,000,000 entries", "< 200 ns at the last", times, many < LIMIT),
        Row::promise(
            "the same, ten times the list",
            "does not grow with it (< 2.0)",
            format!("× {growth:.2}; × {:.2} against none", many / none),
            growth < GROWTH,
        ),
        Row::promise("memory of 1,000,000 entries", "≤ 100 MB", format!("{memory:.0} MB"), memory <= MEMORY_LIMIT),
    ]
}

/// Nanoseconds of a look-up in a list of this many sessions. The look-up finds none of them.
fn among(entries: usize) -> f64 {
    let list = list_of(entries);
    median(&mut [(); PASSES].map(|()| pass(&list)))
}

/// A list of this many sessions, added in steps of 1,000.
fn list_of(entries: usize) -> Revocations {
    let list = Revocations::new(None);
    for _ in 0..entries / 1000 {
        let ended: Vec<Revocation> = (0..1000).map(|_| Revocation::Session { sid: name(), until: u64::MAX }).collect();
        list.add(&ended, 0);
    }
    list
}

/// The resident memory of this process, in megabytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u32> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.map_or(f64::NAN, |kib| f64::from(kib) * 1024.0 / 1e6)
}

/// Each look-up depends on the result of the one before. Otherwise the CPU would fetch the memory of several look-ups
/// at once.
fn pass(list: &Revocations) -> f64 {
    let names: Vec<(String, String)> = (0..=LOOK_UPS).map(|_| (name(), name())).collect();
    let mut place = 0;
    let began = Instant::now();
    for _ in 0..LOOK_UPS {
        let (sid, sub) = &names[place];
        let is_revoked = black_box(list.is_revoked(sid, sub, 0));
        place += 1 - usize::from(is_revoked);
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(LOOK_UPS)
}

fn name() -> String {
    Uuid::new_v4().to_string()
}
