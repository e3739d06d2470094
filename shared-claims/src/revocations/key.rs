use sha2::{Digest, Sha256};

/// A session's or a user's name in 128 bits, as two words so that a table of them is packed by 8 bytes and not by 16: a
/// UUID's own bits, of another text the beginning of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

impl Key {
    pub(super) fn of(text: &str) -> Self {
        uuid(text).unwrap_or_else(|| digest(text))
    }

    /// A number below 256 that is spread evenly, whichever bits a version of UUID leaves constant.
    pub(super) const fn spread(self) -> u8 {
        // 2^64 over the golden ratio; the topmost bits of the product depend on all below.
        ((self.0 ^ self.1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }
}

/// The bits of a UUID in its canonical text alone (RFC 9562 section 4, lower case): another spelling is another name.
fn uuid(text: &str) -> Option<Key> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut words = [0; 2];
    for (place, byte) in text.iter().enumerate() {
        let word = &mut words[usize::from(place > 18)];
        *word = match (place, byte) {
            (8 | 13 | 18 | 23, b'-') => *word,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => *word << 4 | u64::from(byte - b'0'),
            (_, b'a'..=b'f') => *word << 4 | u64::from(byte - b'a' + 10),
            _ => return None,
        };
    }
    Some(Key(words[0], words[1]))
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
