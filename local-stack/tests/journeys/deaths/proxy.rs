use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

/// A proxy between auth-service and Redis. It forwards each command and its reply, one after the other, unless a trap
/// is set for the command.
pub struct Proxy {
    pub url: String,
    trap: Arc<Mutex<Option<Trap>>>,
}

/// Waits for Redis's reply to the step `step` on a session of `user`, then kills the process that sent it before the
/// reply arrives.
pub struct Trap {
    pub step: &'static str,
    pub user: String,
    pub victim: Pid,
}

impl Proxy {
    /// Starts a proxy to the Redis at `url`.
    pub fn to(url: &str) -> Self {
        let redis = url.strip_prefix("redis://").unwrap().split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let trap = Arc::new(Mutex::new(None));
        let traps = Arc::clone(&trap);
        thread::spawn(move || {
            for service in listener.incoming() {
                let (redis, traps) = (TcpStream::connect(&redis).unwrap(), Arc::clone(&traps));
                // A connection always ends with an error, when either side closes it.
                thread::spawn(move || drop(carry(service.unwrap(), redis, &traps)));
            }
        });
        Self { url, trap }
    }

    pub fn arm(&self, trap: Trap) {
        *self.trap.lock().unwrap() = Some(trap);
    }

    /// True if no trap is armed any more: the last one was triggered.
    pub fn sprang(&self) -> bool {
        self.trap.lock().unwrap().is_none()
    }
}

impl Trap {
    /// True for the trap's step, unless the reply is an error: Redis may not know the script yet, and commits nothing.
    fn catches(&self, request: &[u8], reply: &[u8]) -> bool {
        let holds = |text: String| request.windows(text.len()).any(|part| part == text.as_bytes());
        !reply.starts_with(b"-") && holds(format!(":{}\r\n", self.user)) && holds(format!("\r\n{}\r\n", self.step))
    }
}

fn carry(service: TcpStream, redis: TcpStream, trap: &Mutex<Option<Trap>>) -> io::Result<()> {
    let (mut service, mut redis) = (BufReader::new(service), BufReader::new(redis));
    loop {
        let request = message(&mut service)?;
        redis.get_mut().write_all(&request)?;
        let reply = message(&mut redis)?;
        if let Some(trap) = trap.lock().unwrap().take_if(|trap| trap.catches(&request, &reply)) {
            kill_process(trap.victim, Signal::KILL)?;
            return Ok(());
        }
        service.get_mut().write_all(&reply)?;
    }
}

/// Reads the bytes of one command or reply of Redis's protocol (RESP, version 2).
fn message(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut values: i64 = 1;
    while values > 0 {
        let start = bytes.len();
        if stream.read_until(b'\n', &mut bytes)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, number) = (bytes[start], std::str::from_utf8(&bytes[start + 1..]).unwrap_or_default().trim());
        values -= 1;
        match (kind, number.parse::<i64>()) {
            (b'*', Ok(count)) => values += count.max(0),
            (b'$', Ok(length @ 0..)) => {
                stream.take(length.unsigned_abs() + 2).read_to_end(&mut bytes)?;
            }
            _ => {}
        }
    }
    Ok(bytes)
}
