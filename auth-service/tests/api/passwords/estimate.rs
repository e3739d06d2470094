//! The cost of estimating the strength of a password that an attacker chose.

use std::cell::Cell;
use std::process::Command;
use std::time::Duration;

use auth_service::passwords::NewPassword;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use rustix::time::{ClockId, clock_gettime};

const CHILD: &str = "ESTIMATE_IN_A_PROCESS_OF_ITS_OWN";
const LONGEST: Duration = Duration::from_millis(50);
const MOST_MEMORY: u64 = 10 << 20;

/// Patterns that zxcvbn looks for: symbols in place of letters, repeats, sequences, rows of keys, dates, words, letters
/// that become longer in lower case.
const PIECES: [&str; 26] = [
    "0",
    "4",
    "1",
    "7",
    "o",
    "a",
    "|",
    "$5",
    "aab",
    "0022443",
    "o0O",
    "oo0",
    "1234567890",
    "abcdefgh",
    "zyxwvu",
    "qwertyuiop",
    "!@#$%^&*()",
    "1.1.91",
    "11111991",
    "password",
    "p4$$w0rd",
    "thisandthat",
    "İ",
    "ß",
    "😀",
    " ",
];

fn password() -> impl Strategy<Value = String> {
    let symbols = vec(select("4@8({[<369!1|0$5+7%2".chars().collect::<Vec<_>>()), 0..24);
    let repeats = vec((select(&PIECES), 1..100_usize), 1..4);
    (symbols, repeats, any::<bool>()).prop_map(|(symbols, repeats, first)| {
        let symbols: String = symbols.into_iter().collect();
        let repeats: String = repeats.into_iter().map(|(piece, times)| piece.repeat(times)).collect();
        let text = if first { symbols + &repeats } else { repeats + &symbols };
        cut(&format!("{text}12345678"), 1024)
    })
}

/// User names and emails whose words occur in many places of such passwords.
fn about(separator: &'static str, longest: usize) -> impl Strategy<Value = String> {
    let label = (select(vec!["o", "a", "e", "s", "i", "l", "z", "oz", "aae", "oo", "1", "that"]), 1..12_usize);
    vec(label.prop_map(|(letter, times)| letter.repeat(times)), 1..60)
        .prop_map(move |labels| cut(&labels.join(separator), longest))
}

fn cut(text: &str, bytes: usize) -> String {
    text.chars().scan(0, |taken, c| (*taken += c.len_utf8(), (*taken <= bytes).then_some(c)).1).collect()
}

/// The CPU time of an estimate on this thread: the least of several, because the machine does other things, too.
fn time(password: &str, about: &[&str]) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let once = |_| {
        let start = now();
        let _ = NewPassword::parse(password, about);
        now().saturating_sub(start)
    };
    (0..3).map(once).find(|time| *time < LONGEST / 2).unwrap_or_else(|| (0..5).map(once).min().unwrap())
}

/// A line of `/proc/self/status`, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
}

/// The worst inputs that were found for zxcvbn alone: 3 s and 0.9 GB for the first.
fn known() -> [(String, String); 4] {
    let labels: Vec<String> = (3..20).map(|length| "o".repeat(length)).collect();
    let email = format!("x1.{}@{}.de", labels.join("."), "oooo.".repeat(4).trim_end_matches('.'));
    let all = "4@8({[<369!1|0$5+7%2";
    let nested: Vec<String> = (2..10).map(|length| "a".repeat(length)).collect();
    [
        (format!("@4({{[<69!1|$5+7{}", "0".repeat(85)), email.clone()),
        (all.repeat(5), email.clone()),
        (format!("({{[<+4{}", "0".repeat(1000)), email),
        (format!("4@({{[<{}", "4".repeat(94)), format!("{}@example.org", nested.join("."))),
    ]
}

#[cfg(target_os = "linux")]
#[test]
fn the_worst_password_costs_little_time_and_memory() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "passwords::estimate::in_a_process_of_its_own", "--nocapture"]).env(CHILD, "1");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("searched"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// The child process of the test above; in any other process it does nothing.
#[test]
#[expect(clippy::disallowed_methods, reason = "no service: a test that is told what to do by another")]
fn in_a_process_of_its_own() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    time("vK7#qz!Lw2", &["ann"]);
    let (before, slowest) = (memory("VmRSS:"), Cell::new(Duration::ZERO));
    let check = |password: &str, name: &str, email: &str| {
        let took = time(password, &[name, email]);
        slowest.set(slowest.get().max(took));
        assert!(took <= LONGEST, "{took:?}: {password:?}, {name}, {email}");
    };
    for (password, email) in known() {
        check(&password, "ooo", &email);
    }
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let inputs = (password(), about("_", 32), about(".", 254));
    let searched = TestRunner::new(config).run(&inputs, |(password, name, email)| {
        check(&password, &name, &email);
        Ok(())
    });
    searched.unwrap();
    let grown = memory("VmHWM:").saturating_sub(before);
    assert!(grown <= MOST_MEMORY, "memory grew by {grown} bytes");
    println!("searched: at most {:?}, {grown} bytes more", slowest.get());
}
