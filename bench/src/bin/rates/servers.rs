//! Servers on the first core, each in its own process, and their CPU time and memory.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

pub const ACCESS_SECRET: &str = "an access secret of the bench, of 32 bytes and more";
pub const REFRESH_SECRET: &str = "a refresh secret of the bench, of 32 bytes and more";

/// A running server.
pub struct Server {
    pub addr: SocketAddr,
    /// The time from the start of the process to the first connection.
    pub started_in: Duration,
    process: Child,
}

impl Server {
    /// Starts `command` on `core`. `tell` passes it the address to listen on.
    #[expect(clippy::disallowed_methods, reason = "this thread only waits for the server")]
    pub fn start(command: &mut Command, core: usize, tell: impl FnOnce(&mut Command, SocketAddr)) -> io::Result<Self> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        tell(command, addr);
        run_on(core)?;
        let began = Instant::now();
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        run_on(1)?;
        let mut server = Self { addr, started_in: Duration::ZERO, process: process? };
        while began.elapsed() < Duration::from_mins(1) {
            if TcpStream::connect(addr).is_ok() {
                server.started_in = began.elapsed();
                return Ok(server);
            }
            if server.process.try_wait()?.is_some() {
                break;
            }
            sleep(Duration::from_micros(200));
        }
        Err(io::Error::other(format!("{} does not listen", command.get_program().display())))
    }

    /// The CPU time of its threads so far, from `schedstat`, because `utime` and `stime` count in steps of 10 ms.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut all = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            // A thread that has ended meanwhile has no file.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            all += text.split(' ').next().and_then(|used| used.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(all))
    }

    /// See [`memory`].
    pub fn memory(&self, line: &str) -> f64 {
        memory(self.process.id(), line).unwrap_or(f64::NAN)
    }
}

/// The memory of a process in megabytes: `VmRSS:` now, `VmHWM:` at most.
pub fn memory(process: u32, line: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = status.lines().find_map(|text| text.strip_prefix(line))?.trim().trim_end_matches(" kB");
    Some(f64::from(kib.parse::<u32>().ok()?) * 1024.0 / 1e6)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both may fail, because the process may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Pins this thread, and the processes that it starts, to `core`, if the machine has that core.
pub fn run_on(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    let is_there = Path::new(&format!("/sys/devices/system/cpu/cpu{core}")).exists();
    if is_there { Ok(sched_setaffinity(None, &cores)?) } else { Ok(()) }
}
