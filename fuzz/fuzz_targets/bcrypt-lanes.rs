#![no_main]

use bcrypt::HashParts;
use bcrypt_lanes::{Attempt, Hash, Lanes};
use libfuzzer_sys::fuzz_target;

/// Salt, password, guess, and the number of steps before the next case.
type Case = ([u8; 16], Vec<u8>, Vec<u8>, u8);

fuzz_target!(|input: (String, Vec<Case>)| {
    let (text, cases) = input;
    let cost = text.parse::<HashParts>().ok().map(|parts| parts.get_cost()).filter(|cost| (4..=31).contains(cost));
    let cost = cost.filter(|cost| !text.starts_with("$2x") && text[4..6] == format!("{cost:02}"));
    assert_eq!(Hash::parse(&text).map(|hash| hash.cost()), cost, "{text:?}");

    let (mut lanes, mut started, mut ended) = (Lanes::new(), 0, Vec::new());
    for (salt, password, guess, steps) in cases.into_iter().take(6) {
        let stored = bcrypt::hash_with_salt(&password, 4, salt).expect("a good cost").to_string();
        let hash = Hash::parse(&stored).expect("bcrypt made it");
        for text in [&password, &guess] {
            let expected = bcrypt::verify(text, &stored).expect("bcrypt made it");
            lanes.start(Attempt::new(text, &hash), (text.clone(), stored.clone(), expected));
            started += 1;
        }
        (0..steps % 20).for_each(|_| ended.extend(lanes.step()));
    }
    while !lanes.is_empty() {
        ended.extend(lanes.step());
    }
    assert_eq!(ended.len(), started);
    for ((text, stored, expected), is_right) in ended {
        assert_eq!(is_right, expected, "{text:?}, {stored}");
    }
});
