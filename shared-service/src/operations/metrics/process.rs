//! What `/proc` says of this process; nothing where there is none.

use std::fs::read_to_string;
use std::sync::LazyLock;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// When the process started, in seconds since 1970: the same at each call, however the clock is set meanwhile.
pub(super) fn start_time() -> Option<f64> {
    static START: LazyLock<Option<f64>> = LazyLock::new(started);
    *START
}

/// The system's own start, and the clock ticks from there (proc(5)).
fn started() -> Option<f64> {
    let [now, up] = [ClockId::Realtime, ClockId::Boottime].map(|clock| seconds(clock_gettime(clock)));
    let own = read_to_string("/proc/self/stat").ok()?;
    // The 22nd field. The second, the program's name, may hold spaces, and ends with the last parenthesis.
    let ticks: f64 = own.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let ticks_per_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some(now - up + ticks / f64::from(ticks_per_second))
}

fn seconds(time: Timespec) -> f64 {
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

/// The memory that it holds, in bytes.
pub(super) fn resident_memory() -> Option<f64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_knows_this_process() {
        let now = Duration::from_millis(crate::clock::now_ms().unsigned_abs()).as_secs_f64();
        let age = now - start_time().unwrap();
        assert!((-2.0..3600.0).contains(&age), "started {age} s ago");
        let memory = resident_memory().unwrap();
        assert!((1e5..1e11).contains(&memory), "{memory} bytes");
    }
}
