use std::hash::{BuildHasherDefault, Hash, Hasher};

use sha2::{Digest, Sha256};

/// A session's or a user's name in 128 bits, as two words so that a table of them is packed by 8 bytes and not by 16: a
/// UUID's own bits, of another text the beginning of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u64, u64);

/// A key is hashed already. Who could choose keys that collide is auth-service alone.
#[derive(Default)]
pub(super) struct AsHashed(u64);

/// For tables of keys.
pub(super) type ByKey = BuildHasherDefault<AsHashed>;

impl Key {
    pub(super) fn of(text: &str) -> Self {
        uuid(text).unwrap_or_else(|| digest(text))
    }

    /// A number below 256 that is spread evenly, whichever bits a version of UUID leaves constant. Tables look at the
    /// bits on both sides of it.
    pub(super) fn spread(self) -> u8 {
        self.mixed().to_le_bytes()[5]
    }

    /// Both halves of a long product: each bit depends on all others. The factors are digits of pi.
    pub(super) fn mixed(self) -> u64 {
        let (low, high) = (self.0 ^ 0x243f_6a88_85a3_08d3).carrying_mul(self.1 ^ 0x1319_8a2e_0370_7344, 0);
        low ^ high
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.mixed());
    }
}

impl Hasher for AsHashed {
    fn write(&mut self, bytes: &[u8]) {
        // Not used by keys.
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, mixed: u64) {
        self.0 = mixed;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a hexadecimal digit in lower case is worth; of any other byte, more than 15.
const WORTH: [u8; 256] = {
    let mut worth = [u8::MAX; 256];
    let mut digit = 0;
    while digit < 16 {
        worth[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    worth
};

/// The bits of a UUID in its canonical text alone (RFC 9562 section 4, lower case): another spelling is another name.
fn uuid(text: &str) -> Option<Key> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let hyphens = [8, 13, 18, 23].iter().all(|place: &usize| text[*place] == b'-');
    let key = Key(word(&[&text[..8], &text[9..13], &text[14..18]])?, word(&[&text[19..23], &text[24..]])?);
    hyphens.then_some(key)
}

/// A table and no comparison, which a processor guesses wrong with every other digit.
fn word(digits: &[&[u8]]) -> Option<u64> {
    digits.iter().copied().flatten().try_fold(0, |word, byte| {
        let worth = u64::from(WORTH[usize::from(*byte)]);
        (worth < 16).then_some(word << 4 | worth)
    })
}

fn digest(text: &str) -> Key {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let digest = Sha256::digest(text);
    Key(word(&digest[..8]), word(&digest[8..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_uuid_is_taken_by_its_bits() {
        let bits = Some((0x0198_0a5e_7c1f_7abc, 0x9def_0123_4567_89ab));
        for (text, expected, why) in [
            ("01980a5e-7c1f-7abc-9def-0123456789ab", bits, "as it is written"),
            ("01980A5E-7C1F-7ABC-9DEF-0123456789AB", None, "upper case"),
            ("01980a5e7c1f7abc9def0123456789ab", None, "without hyphens"),
            ("{01980a5e-7c1f-7abc-9def-0123456789ab}", None, "in braces"),
            ("01980a5e-7c1f-7abc-9def-0123456789ag", None, "no digit"),
            ("01980a5e-7c1f-7abc-9def00123456789ab", None, "a digit for a hyphen"),
            ("01980a5e--c1f-7abc-9def-0123456789ab", None, "a hyphen for a digit"),
            ("", None, "nothing"),
        ] {
            assert_eq!(uuid(text).map(|key| (key.0, key.1)), expected, "{why}");
        }
    }

    #[test]
    fn every_text_has_a_key_of_its_own() {
        let texts =
            ["", "s-1", "s-2", "S-1", "01980a5e-7c1f-7abc-9def-0123456789ab", "01980A5E-7c1f-7abc-9def-0123456789ab"];
        for (place, text) in texts.iter().enumerate() {
            assert!(texts[..place].iter().all(|other| Key::of(other) != Key::of(text)), "{text}");
        }
    }

    #[test]
    fn keys_are_spread() {
        let mut seen = [0_u32; 256];
        for n in 0..25_600 {
            seen[usize::from(Key(0x0198_0a5e_7c1f_7000 + n / 1000, 0x8000_0000_0000_0000 + n).spread())] += 1;
        }
        assert!(seen.iter().all(|count| (1..400).contains(count)), "{seen:?}");
    }
}
