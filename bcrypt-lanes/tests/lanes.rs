//! The lanes, compared with the crate `bcrypt`.

use std::iter;
use std::time::Duration;

use bcrypt::{HashParts, Version};
use bcrypt_lanes::{Attempt, Hash, LANES, Lanes};
use rustix::time::{ClockId, clock_gettime};

/// Published test vectors of jBCrypt; from `$2a$05$` on, of Solar Designer's `crypt_blowfish`.
const PUBLISHED: [(&[u8], &str); 23] = [
    (b"", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
    (b"", "$2a$08$HqWuK6/Ng6sg9gQzbLrgb.Tl.ZHfXLhvt/SgVyWhQqgqcZ7ZuUtye"),
    (b"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
    (b"a", "$2a$08$cfcvVd2aQ8CMvoMpP2EBfeodLEkkFJ9umNEfPD18.hUF62qqlC/V."),
    (b"abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    (b"abc", "$2a$08$Ro0CUfOqk6cXEKf3dyaM7OhSCvnwM9s4wIX9JeLapehKK5YdLxKcm"),
    (b"abcdefghijklmnopqrstuvwxyz", "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC"),
    (b"abcdefghijklmnopqrstuvwxyz", "$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz."),
    (b"~!@#$%^&*()      ~!@#$%^&*()PNBFRD", "$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO"),
    (b"~!@#$%^&*()      ~!@#$%^&*()PNBFRD", "$2a$08$Eq2r4G/76Wv39MzSX262huzPz612MZiYHVUJe/OcOql2jo4.9UxTW"),
    (b"~!@#$%^&*()      ~!@#$%^&*()PNBFRD", "$2a$10$LgfYWkbzEvQ4JakH7rOvHe0y8pHKF9OaFgwUZ2q7W2FFZmZzJYlfS"),
    (b"", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
    (b"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (b"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
    (b"U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    (
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored",
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
    ),
    (b"\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
    (b"\xa3", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
    (b"\xff\xff\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"),
    (b"\xff\xa3345", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.nRht2l/HRhr6zmCp9vYUvvsqynflf9e"),
    (&[0xaa; 72], "$2a$05$/OK.fbVrR/bpIqNJ5ianF.swQOIzjOiJ9GHEPuhEkvqrUyvWhEMx6"),
    (&PAIRS, "$2a$05$/OK.fbVrR/bpIqNJ5ianF.R9xrDjiycxMbQE2bp.vgqlYpW5wx2yy"),
    (&TRIPLES, "$2a$05$/OK.fbVrR/bpIqNJ5ianF.9tQZzcJfm3uj2NvJ/n5xkhpqLrMpWCe"),
];

const PAIRS: [u8; 72] = repeated([0xaa, 0x55]);
const TRIPLES: [u8; 72] = repeated([0x55, 0xaa, 0xff]);

const fn repeated<const N: usize>(bytes: [u8; N]) -> [u8; 72] {
    let (mut all, mut at) = ([0; 72], 0);
    while at < 72 {
        all[at] = bytes[at % N];
        at += 1;
    }
    all
}

const STORED: &str = "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";
const PASSWORD: &[u8] = b"correct horse battery";
/// The rounds of cost 4.
const ROUNDS: usize = 16;

/// `SplitMix64` (G. Steele, D. Lea, C. Flood, 2014), seeded, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        let [low, high, ..] = self.next().to_le_bytes();
        usize::from(u16::from_le_bytes([low, high])) % bound
    }

    /// A byte: in half of the cases random, else 0, 0x80, 0xFF or a letter.
    fn byte(&mut self) -> u8 {
        let [random, ..] = self.next().to_le_bytes();
        [random, random, random, random, 0, 0x80, 0xff, b'a'][self.below(8)]
    }

    /// A password: every third near the limit of 72 bytes, every ninth empty.
    fn password(&mut self) -> Vec<u8> {
        let length = match self.below(9) {
            0..=2 => 70 + self.below(5),
            3 => 0,
            _ => self.below(120),
        };
        iter::repeat_with(|| self.byte()).take(length).collect()
    }

    /// The same password, or one that differs in one bit or in its length.
    fn guess(&mut self, password: &[u8]) -> Vec<u8> {
        let mut guess = password.to_vec();
        match self.below(4) {
            0 if !guess.is_empty() => {
                let place = self.below(guess.len());
                guess[place] ^= 1 << self.below(8);
            }
            1 => drop(guess.pop()),
            2 => guess.push(self.byte()),
            _ => {}
        }
        guess
    }
}

fn hash(text: &str) -> Hash {
    Hash::parse(text).unwrap_or_else(|| panic!("{text} is not a hash"))
}

/// Steps until all attempts have ended; returns their results.
fn run<T>(lanes: &mut Lanes<T>) -> Vec<(T, bool)> {
    iter::from_fn(|| (!lanes.is_empty()).then(|| lanes.step())).flatten().collect()
}

#[test]
fn published_hashes_are_verified() {
    let mut lanes = Lanes::new();
    for (password, stored) in PUBLISHED {
        lanes.start(Attempt::new(password, &hash(stored)), (stored, true));
        lanes.start(Attempt::new(&[password, b"!"].concat(), &hash(stored)), (stored, password.len() >= 72));
    }
    for ((stored, expected), is_right) in run(&mut lanes) {
        assert_eq!(is_right, expected, "{stored}");
    }
}

/// Attempts start at any round; up to six run at once.
#[test]
fn ten_thousand_random_cases_equal_bcrypt() {
    let five_thousand = |seed| {
        let (mut random, mut lanes, mut ended) = (Random(seed), Lanes::new(), Vec::new());
        for case in 0..2_500 {
            let (password, salt) = (random.password(), std::array::from_fn(|_| random.byte()));
            let cost = 4 + u32::from(random.below(16) == 0);
            let parts = bcrypt::hash_with_salt(&password, cost, salt).unwrap();
            let version = [Version::TwoA, Version::TwoB, Version::TwoY][random.below(3)].clone();
            let (stored, guess) = (parts.format_for_version(version), random.guess(&password));
            let expected = guess == password || bcrypt::verify(&guess, &stored).unwrap();
            for (text, expected) in [(&password, true), (&guess, expected)] {
                lanes.start(Attempt::new(text, &hash(&stored)), (case, expected));
                while lanes.len() > random.below(6) {
                    ended.extend(lanes.step());
                }
            }
        }
        ended.extend(run(&mut lanes));
        assert_eq!(ended.len(), 5_000);
        let wrong = ended.iter().filter(|(_, is_right)| !is_right).count();
        assert!((1_000..2_500).contains(&wrong), "{wrong} attempts have a wrong password");
        for ((case, expected), is_right) in ended {
            assert_eq!(is_right, expected, "case {case}");
        }
    };
    std::thread::scope(|threads| {
        for seed in [1999, 2000] {
            threads.spawn(move || five_thousand(seed));
        }
    });
}

#[test]
fn each_bit_of_the_digest_and_of_the_salt_counts() {
    let mut lanes = Lanes::new();
    let letters = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for place in 7..60 {
        let own = letters.iter().position(|letter| *letter == STORED.as_bytes()[place]).unwrap();
        // The last character of the salt encodes 2 bits, that of the digest 4.
        let unused = [4, 2, 0][usize::from(place != 28) + usize::from(place != 28 && place != 59)];
        for bit in unused..6 {
            let mut other = STORED.as_bytes().to_vec();
            other[place] = letters[own ^ 1 << bit];
            let other = String::from_utf8(other).unwrap();
            lanes.start(Attempt::new(PASSWORD, &hash(&other)), other);
        }
    }
    let ended = run(&mut lanes);
    assert_eq!(ended.len(), 8 * (16 + 23));
    assert!(ended.iter().all(|(_, is_right)| !is_right));
}

/// Replaces each character with every other one, and tries every length.
#[test]
fn text_is_a_hash_for_bcrypt_too() {
    let is_hash = |text: &str| {
        let digits = text.get(4..6).is_some_and(|cost| cost.bytes().all(|digit| digit.is_ascii_digit()));
        let cost = text.parse::<HashParts>().ok().map(|parts| parts.get_cost());
        digits && !text.starts_with("$2x") && cost.is_some_and(|cost| (4..=31).contains(&cost))
    };
    let mut good = 0;
    for place in 0..60 {
        for character in ('\0'..='\u{ff}').chain(['\u{100}', '\u{ff04}', '\u{1f600}']) {
            let text = format!("{}{character}{}", &STORED[..place], &STORED[place + 1..]);
            assert_eq!(Hash::parse(&text).is_some(), is_hash(&text), "{text:?}");
            good += usize::from(is_hash(&text));
        }
        assert!(Hash::parse(&STORED[..place]).is_none(), "{place} characters");
    }
    // Four characters `$` and `2`, three versions, the costs 04, 14, 24 and 04 to 09, and the letters of base64: the
    // last letter of the salt encodes 2 bits, that of the digest 4.
    assert_eq!(good, 4 + 3 + 3 + 6 + 51 * 64 + 4 + 16);
    for cost in 0..100 {
        let text = STORED.replace("$04$", &format!("${cost:02}$"));
        assert_eq!(Hash::parse(&text).map(|hash| hash.cost()), (4..=31).contains(&cost).then_some(cost));
    }
    for text in [format!("{STORED}."), format!(" {STORED}"), STORED.replace("$04$", "$+4$"), "é".repeat(30)] {
        assert!(Hash::parse(&text).is_none(), "{text:?}");
    }
}

#[test]
fn lone_attempt_ends_after_its_rounds() {
    let mut lanes = Lanes::new();
    lanes.start(Attempt::new(PASSWORD, &hash(STORED)), ());
    for _ in 1..ROUNDS {
        assert_eq!(lanes.step(), []);
    }
    assert_eq!(lanes.step(), [((), true)]);
    assert_eq!(lanes.step(), [], "no attempt is left");
}

#[test]
fn later_attempt_joins_at_the_next_round() {
    let (mut lanes, mut ends) = (Lanes::new(), Vec::new());
    let dear = bcrypt::hash(PASSWORD, 5).unwrap();
    let starts = [(0, STORED, "first"), (3, STORED, "second"), (5, &*dear, "of cost 5"), (9, STORED, "last")];
    for step in 0..40 {
        for (_, stored, name) in starts.iter().filter(|(at, ..)| *at == step) {
            lanes.start(Attempt::new(PASSWORD, &hash(stored)), *name);
        }
        ends.extend(lanes.step().into_iter().map(|(name, is_right)| (name, is_right, step + 1)));
    }
    let expected = [
        ("first", true, ROUNDS),
        ("second", true, 3 + ROUNDS),
        ("last", true, 9 + ROUNDS),
        ("of cost 5", true, 5 + 32),
    ];
    assert_eq!(ends, expected);
}

#[test]
fn attempt_without_a_lane_waits_for_one() {
    let mut lanes = Lanes::new();
    for number in 0..=LANES {
        assert_eq!((lanes.is_full(), lanes.len()), (number == LANES, number));
        lanes.start(Attempt::new(PASSWORD, &hash(STORED)), number);
    }
    let ended: Vec<_> = (0..ROUNDS).flat_map(|_| lanes.step()).collect();
    assert_eq!(ended.len(), LANES);
    assert_eq!(run(&mut lanes), [(LANES, true)]);
}

#[test]
fn dummy_takes_as_many_rounds_and_is_never_right() {
    for password in [PASSWORD, b""] {
        let mut lanes = Lanes::new();
        lanes.start(Attempt::dummy(password, 4), ());
        let steps = iter::from_fn(|| lanes.step().is_empty().then_some(())).count();
        assert_eq!(steps + 1, ROUNDS);
        lanes.start(Attempt::dummy(password, 4), ());
        assert_eq!(run(&mut lanes), [((), false)]);
    }
}

#[test]
fn costliest_hash_does_not_hold_up_another() {
    let mut lanes = Lanes::new();
    lanes.start(Attempt::new(PASSWORD, &hash(&STORED.replace("$04$", "$31$"))), "31");
    lanes.start(Attempt::dummy(PASSWORD, 99), "31 at most");
    lanes.start(Attempt::new(PASSWORD, &hash(STORED)), "4");
    assert_eq!((0..ROUNDS).flat_map(|_| lanes.step()).collect::<Vec<_>>(), [("4", true)]);
    assert_eq!(lanes.len(), 2);
}

/// Measures CPU time, which other programs hardly affect.
#[test]
fn four_attempts_take_less_than_three_times_one() {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let time_of = |attempts| {
        let tries = (0..9).map(|_| {
            let (start, mut lanes) = (now(), Lanes::new());
            (0..attempts).for_each(|_| lanes.start(Attempt::dummy(PASSWORD, 7), ()));
            run(&mut lanes);
            now().saturating_sub(start)
        });
        tries.min().unwrap()
    };
    let (one, four) = (time_of(1), time_of(LANES));
    assert!(four < 3 * one, "four attempts took {four:?}, one {one:?}");
}
