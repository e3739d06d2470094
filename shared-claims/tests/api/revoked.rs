use std::time::{Duration, Instant};

use shared_claims::{LEEWAY, Revocation, Revocations};

use crate::forge::NOW;
use crate::wire::{session, subject};

const LATER: u64 = NOW + 900;

/// The number of sweeps that cover every part of a list.
const ROUNDS: usize = 52;

fn list_of(entries: &[Revocation]) -> Revocations {
    let list = Revocations::new(None);
    list.add(entries, NOW);
    list
}

#[test]
fn a_token_is_refused_for_its_session_or_for_its_user_and_time() {
    let (uuid, other) = ("01980a5e-7c1f-7abc-9def-0123456789ab", "01980a5e-7c1f-7abc-9def-0123456789ac");
    for (entries, (sid, sub, iat), refused, why) in [
        (vec![], ("s-1", "u-1", NOW), false, "an empty list"),
        (vec![session("s-1", LATER)], ("s-1", "u-1", NOW), true, "its session"),
        (vec![session("s-1", LATER)], ("s-1", "u-1", NOW + 100), true, "its session, at any time"),
        (vec![session("s-1", LATER)], ("s-2", "u-1", NOW), false, "another session"),
        (vec![session("u-1", LATER)], ("s-1", "u-1", NOW), false, "a session named like its user"),
        (vec![session(uuid, LATER)], (uuid, "u-1", NOW), true, "a UUID"),
        (vec![session(uuid, LATER)], (other, "u-1", NOW), false, "another UUID"),
        (vec![session(&uuid.to_uppercase(), LATER)], (uuid, "u-1", NOW), false, "a name in another case"),
        (vec![subject("u-1", NOW, LATER)], ("s-1", "u-1", NOW - 1), true, "made before"),
        (vec![subject("u-1", NOW, LATER)], ("s-1", "u-1", NOW), false, "made in that second"),
        (vec![subject("u-1", NOW, LATER)], ("s-1", "u-1", NOW + 1), false, "made after"),
        (vec![subject("u-2", NOW, LATER)], ("s-1", "u-1", NOW - 1), false, "another user"),
        (vec![subject("s-1", NOW, LATER)], ("s-1", "u-1", NOW - 1), false, "a user named like its session"),
        (vec![subject(uuid, NOW, LATER)], ("s-1", uuid, NOW - 1), true, "a user with a UUID"),
        (
            vec![subject("u-1", NOW, LATER), subject("u-1", NOW - 50, LATER)],
            ("s-1", "u-1", NOW - 1),
            true,
            "latest first",
        ),
        (
            vec![subject("u-1", NOW - 50, LATER), subject("u-1", NOW, LATER)],
            ("s-1", "u-1", NOW - 1),
            true,
            "latest last",
        ),
        (
            vec![subject("u-1", NOW - 50, LATER), subject("u-2", NOW, LATER)],
            ("s-1", "u-1", NOW - 1),
            false,
            "not its own",
        ),
        (vec![session("s-2", LATER), subject("u-1", NOW, LATER)], ("s-1", "u-1", NOW - 1), true, "one of two"),
        (vec![session("s-1", LATER), subject("u-1", NOW, LATER)], ("s-1", "u-1", NOW), true, "the other of two"),
    ] {
        assert_eq!(list_of(&entries).is_revoked(sid, sub, iat), refused, "{why}");
        let merged = Revocations::new(None);
        for entry in &entries {
            merged.add(std::slice::from_ref(entry), NOW);
        }
        assert_eq!(merged.is_revoked(sid, sub, iat), refused, "{why}, added one by one");
    }
}

#[test]
fn not_before_far_ahead_is_taken_as_now_plus_the_leeway() {
    let taken = NOW + LEEWAY;
    for (not_before, iat, refused, why) in [
        (NOW + 3600, taken - 1, true, "issued before"),
        (NOW + 3600, taken, false, "issued after"),
        (u64::MAX, taken, false, "the largest"),
        (NOW + 2 * LEEWAY, NOW + 2 * LEEWAY - 1, true, "clocks may differ so far"),
    ] {
        assert_eq!(list_of(&[subject("u-1", not_before, LATER)]).is_revoked("s-1", "u-1", iat), refused, "{why}");
    }
}

#[test]
fn not_before_in_the_future_is_corrected() {
    let list = Revocations::new(None);
    list.add(&[subject("u-1", NOW + 3600, NOW + 9000)], NOW + 3600);
    assert!(list.is_revoked("s-1", "u-1", NOW + LEEWAY), "while the clock is ahead");
    (0..ROUNDS).for_each(|_| list.add(&[], NOW));
    assert!(list.is_revoked("s-1", "u-1", NOW + LEEWAY - 1));
    assert!(!list.is_revoked("s-1", "u-1", NOW + LEEWAY));
}

/// An hour that the clock here lags must not end the revocation of tokens issued in it.
#[test]
fn not_before_lowered_by_a_clock_that_was_behind_applies_again() {
    let list = list_of(&[subject("u-1", NOW, LATER)]);
    (0..ROUNDS).for_each(|_| list.add(&[], NOW - 3600));
    list.add(&[subject("u-2", NOW, LATER)], NOW - 3600);
    for sub in ["u-1", "u-2"] {
        assert!(!list.is_revoked("s-1", sub, NOW - 1), "{sub}: taken as in the future");
    }
    list.add(&[], NOW);
    for sub in ["u-1", "u-2"] {
        assert!(list.is_revoked("s-1", sub, NOW - 1) && !list.is_revoked("s-1", sub, NOW), "{sub}");
    }
}

#[test]
fn entry_missing_from_a_later_list_is_kept() {
    let list = list_of(&[session("s-1", LATER), subject("u-1", NOW, LATER)]);
    list.add(&[], NOW);
    list.add(&[session("s-2", LATER), subject("u-1", NOW - 100, NOW + 1)], NOW);
    list.add(&[session("s-1", NOW - 1)], NOW);
    (0..ROUNDS).for_each(|_| list.add(&[], NOW + 2));
    assert!(list.is_revoked("s-1", "u-9", NOW), "the entry was added again with an earlier end");
    assert!(list.is_revoked("s-2", "u-9", NOW));
    assert!(list.is_revoked("s-9", "u-1", NOW - 1), "the entry was added again with earlier times");
    assert_eq!(list.len(), 3);
}

#[test]
fn nothing_is_forgotten_before_the_clock_here_has_passed_its_end() {
    for (now, kept, why) in [
        (LATER - 5, true, "a clock that is 5 s behind"),
        (LATER, true, "the last second"),
        (LATER + 1, false, "a second later"),
        (LATER + 5, false, "a clock that is 5 s ahead"),
    ] {
        let list = list_of(&[session("s-1", LATER), subject("u-1", NOW, LATER)]);
        (0..ROUNDS).for_each(|_| list.add(&[], now));
        assert_eq!(list.is_revoked("s-1", "u-9", NOW), kept, "{why}");
        assert_eq!(list.is_revoked("s-9", "u-1", NOW - 1), kept, "{why}");
        assert_eq!(list.is_empty(), !kept, "{why}");
    }
}

#[test]
fn expired_entries_are_swept_in_parts() {
    let list = list_of(&(0..1000).map(|n| session(&format!("s-{n}"), NOW)).collect::<Vec<_>>());
    let mut before = list.len();
    for _ in 0..ROUNDS {
        list.add(&[session("new", LATER)], NOW + 1);
        assert!(list.len() <= before && before - list.len() < 200, "{before} before, {} after", list.len());
        before = list.len();
    }
    assert_eq!(before, 1, "only the new entry is left");
}

#[test]
fn a_clone_is_the_same_list() {
    let list = Revocations::new(None);
    list.clone().add(&[session("s-1", LATER)], NOW);
    assert!(list.is_revoked("s-1", "u-1", NOW));
}

#[test]
fn a_list_is_as_old_as_what_was_confirmed_last() {
    let before = Instant::now();
    let list = Revocations::new(Some(Duration::from_mins(1)));
    assert_eq!((list.age(), list.is_stale()), (None, true), "never complete");
    list.confirm(Instant::now());
    assert!(list.age().is_some_and(|age| age < Duration::from_secs(50)) && !list.is_stale());
    list.confirm(before);
    assert!(!list.is_stale(), "a late confirmation of an older time changes nothing");
    assert!(!Revocations::new(None).is_stale(), "without a maximum age, a list is never stale");
    let hasty = Revocations::new(Some(Duration::ZERO));
    hasty.confirm(before);
    while !hasty.is_stale() {}
    hasty.confirm(Instant::now() + Duration::from_mins(1));
    assert_eq!(hasty.age(), Some(Duration::ZERO), "a time in the future is taken as now");
}

#[test]
fn readers_see_every_list_whole_while_writers_write() {
    let list = Revocations::new(None);
    list.add(&[session("old", LATER)], NOW);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let list = &list;
            scope.spawn(move || {
                for n in 0..500 {
                    list.add(&[session(&format!("s-{writer}-{n}"), LATER)], NOW);
                    assert!(list.is_revoked(&format!("s-{writer}-{n}"), "u-1", NOW), "an added entry applies at once");
                    assert!(list.is_revoked("old", "u-1", NOW));
                }
            });
        }
    });
    assert_eq!(list.len(), 2001, "no writer removed an entry of another");
}
