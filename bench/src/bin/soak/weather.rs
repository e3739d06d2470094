use std::cell::RefCell;
use std::io;
use std::time::Instant;

use rustix::process::Signal;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::servers::{INSTANCES, Servers};
use crate::tally::{Tally, Violation};

/// Kills and stops servers at random until `end`. After that, all of them run.
///
/// A dead or stopped server is back within the grace, so that a client can retry a call whose response was lost.
pub async fn rage(servers: &mut Servers, mut chance: Chance, end: Instant, tally: &RefCell<Tally>) -> io::Result<()> {
    while Instant::now() < end {
        sleep(chance.ms(500..3000)).await;
        survey(servers, tally)?;
        let index = chance.below(INSTANCES);
        let what = match chance.below(8) {
            0 | 1 => {
                servers.redis.kill()?;
                sleep(chance.ms(50..1000)).await;
                servers.redis.start_again()?;
                "Redis killed with -9"
            }
            2 => {
                servers.redis.signal(Signal::STOP)?;
                sleep(chance.ms(100..1500)).await;
                servers.redis.signal(Signal::CONT)?;
                "Redis stopped for a while"
            }
            3 | 4 => {
                servers.instances[index].kill()?;
                sleep(chance.ms(1..1000)).await;
                servers.instances[index].start_again()?;
                "an instance killed with -9"
            }
            5 => {
                servers.instances[index].signal(Signal::STOP)?;
                sleep(chance.ms(100..1500)).await;
                servers.instances[index].signal(Signal::CONT)?;
                "an instance stopped for a while"
            }
            6 => {
                servers.redis.kill()?;
                servers.instances[index].kill()?;
                sleep(chance.ms(50..1000)).await;
                servers.instances[index].start_again()?;
                servers.redis.start_again()?;
                "Redis and an instance killed with -9 at once"
            }
            _ => {
                for instance in &mut servers.instances {
                    instance.kill()?;
                }
                sleep(chance.ms(1..500)).await;
                for instance in &mut servers.instances {
                    instance.start_again()?;
                }
                "all instances killed with -9 at once"
            }
        };
        tally.borrow_mut().death(what);
    }
    survey(servers, tally)
}

/// Reports servers that ended without a kill as violations, and starts them again.
fn survey(servers: &mut Servers, tally: &RefCell<Tally>) -> io::Result<()> {
    for server in servers.instances.iter_mut().chain([&mut servers.redis]) {
        if let Some(how) = server.ended()? {
            tally.borrow_mut().violation(Violation::Ended, how);
            server.start_again()?;
        }
    }
    Ok(())
}
