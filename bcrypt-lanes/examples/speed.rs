//! Prints the CPU time of a hash: of the crate `bcrypt`, and of one to four lanes.
//!
//! `cargo run --release -p bcrypt-lanes --example speed -- 10`

use std::hint::black_box;
use std::time::Duration;

use bcrypt_lanes::{Attempt, LANES, Lanes};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let cost = std::env::args().nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(10);
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default().as_secs_f64() * 1e3;
    // The least of several tries is the one that other programs disturbed least.
    let least = |work: &dyn Fn()| {
        let tries = (0..9).map(|_| {
            let start = now();
            work();
            now() - start
        });
        tries.fold(f64::INFINITY, f64::min)
    };
    let plain = least(&|| drop(black_box(bcrypt::hash_with_salt(b"password", cost, [7; 16]))));
    println!("bcrypt: {plain:.2} ms a hash");
    for lanes in 1..=LANES {
        let all = least(&|| {
            let mut busy = Lanes::new();
            (0..lanes).for_each(|lane| busy.start(Attempt::dummy(b"password", cost), lane));
            while !busy.is_empty() {
                black_box(busy.step());
            }
        });
        let each = all / f64::from(u32::try_from(lanes).unwrap_or(1));
        println!("{lanes} lanes: {all:.2} ms together, {each:.2} ms a hash, {:.2} times bcrypt", plain / each);
    }
}
