use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;

/// The number of words in titles and names. The frequency of the word of rank r is proportional to 1/r.
const WORDS: u64 = 20_000;
const CONSONANTS: &[u8; 16] = b"bcdfghklmnprstvz";
const VOWELS: &[u8; 5] = b"aeiou";

/// Pseudorandom numbers, the same in each run.
pub struct Random {
    state: u64,
    /// For each rank, the total weight of the words up to it.
    weights: Vec<u64>,
}

impl Random {
    pub fn new() -> Self {
        let mut sum = 0;
        let weights = (1..=WORDS).map(|rank| {
            sum += 1_000_000_000 / rank;
            sum
        });
        Self { state: 88_172_645_463_325_252, weights: weights.collect() }
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }

    /// The rank of a word, from 0.
    fn rank(&mut self) -> u64 {
        let place = self.below(self.weights.last().copied().unwrap_or(1));
        self.weights.partition_point(|weight| *weight <= place) as u64
    }

    pub fn words(&mut self, count: u64) -> String {
        let words: Vec<String> = (0..count).map(|_| word(self.rank())).collect();
        words.join(" ")
    }
}

/// The word of a rank: three letters for the most frequent ones, up to nine for the others.
pub fn word(rank: u64) -> String {
    let mut rest = (rank + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let syllables = 1 + u64::from(rank >= 50) + u64::from(rank >= 500);
    let mut letter = |letters: &[u8]| {
        let count = letters.len() as u64;
        let letter = letters[usize::try_from((rest >> 32) % count).unwrap_or_default()];
        rest = rest.rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        char::from(letter)
    };
    (0..syllables).flat_map(|_| [letter(CONSONANTS), letter(VOWELS), letter(CONSONANTS)]).collect()
}

/// The id of the book with a number.
pub fn book_id(number: u32) -> String {
    format!("01890a5d-ac96-774b-bcce-{number:012}")
}

/// One of twenty countries.
pub fn country(number: u64) -> String {
    word(3_000 + number % 20)
}

/// Writes the file of an import with `count` books.
pub fn write_books(file: &Path, count: u32) -> io::Result<()> {
    let (mut out, mut random) = (BufWriter::new(File::create(file)?), Random::new());
    for number in 0..count {
        let words = 6 + random.below(4);
        let book = json!({"id": book_id(number), "author": random.words(2), "title": random.words(words),
            "country": country(random.below(20)), "language": word(3_100 + random.below(8)),
            "pages": 1 + random.below(900), "year": 1500 + random.below(520)});
        writeln!(out, "{book}")?;
    }
    out.flush()
}

/// Writes the file of an import with `count` users, each with the same password.
pub fn write_users(file: &Path, count: u32) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let hash = bcrypt::hash("password of the bench", 4).map_err(io::Error::other)?;
    for number in 0..count {
        let name = user_name(number);
        let user =
            json!({"username": name, "email": format!("{name}@mail{}.example", number % 7), "passwordHash": hash});
        writeln!(out, "{user}")?;
    }
    out.flush()
}

pub fn user_name(number: u32) -> String {
    format!("{}.{}{number}", word(u64::from(number % 977) + 600), word(u64::from(number % 1_009) + 60))
}
