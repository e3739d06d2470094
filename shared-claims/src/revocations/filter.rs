use super::key::Key;

/// How many names share a word of 64 bits, at most.
const SHARING: usize = 8;

/// Says of nearly all names that are not in a table that they are not, from a byte for each that is: a million of them fit
/// into a processor's own cache, as their tables do not. (A blocked Bloom filter: Putze, Sanders and Singler, 2007.)
#[derive(Clone, Default)]
pub(super) struct Filter {
    /// None, or a power of two.
    words: Box<[u64]>,
}

impl Filter {
    pub(super) fn of(keys: impl Iterator<Item = Key>, count: usize) -> Self {
        let words = if count == 0 { 0 } else { count.div_ceil(SHARING).next_power_of_two() };
        let mut filter = Self { words: vec![0; words].into() };
        for key in keys {
            let (place, bits) = filter.place(key);
            filter.words[place] |= bits;
        }
        filter
    }

    /// Never false for one of the names that it was made of.
    pub(super) fn may_have(&self, key: Key) -> bool {
        let (place, bits) = self.place(key);
        self.words.get(place).is_some_and(|word| word & bits == bits)
    }

    /// A word, and the two bits of it that stand for `key`.
    fn place(&self, key: Key) -> (usize, u64) {
        let mixed = key.mixed();
        // What 32 bits would lose, the mask loses as well.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        let place = mixed as usize & self.words.len().wrapping_sub(1);
        (place, 1 << (mixed >> 48 & 63) | 1 << (mixed >> 54 & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::of(&format!("s-{number}"))
    }

    #[test]
    fn every_name_is_found_and_hardly_another() {
        for count in [0, 1, 7, 8, 9, 100, 4_000] {
            let filter = Filter::of((0..count).map(key), count);
            assert!((0..count).all(|number| filter.may_have(key(number))), "{count}");
            let wrong = (count..count + 10_000).filter(|number| filter.may_have(key(*number))).count();
            assert!(wrong < 1_000, "{wrong} of 10,000 among {count}");
        }
    }
}
