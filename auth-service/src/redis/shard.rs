use crc16::{State, XMODEM};

/// The number of shards.
pub const SHARDS: usize = 16;

/// The hash tags of the shards' keys. The slot of each lies near the middle of its sixteenth of all slots, so that
/// masters with equal ranges of slots get equal numbers of shards.
const TAGS: [&str; SHARDS] =
    ["07", "1oy", "2cx", "3r", "4ex", "5y", "64", "7xz", "8u", "9vz", "aoo", "bed", "cy", "dcd", "es", "fg"];

/// The number of slots of a Redis Cluster.
const SLOTS: u16 = 16_384;

/// A set of users whose keys are in one slot of a Redis Cluster, so that one step may use several of them. Sixteen are
/// few enough to read from all, and enough for sixteen masters.
#[derive(Clone, Copy, Debug)]
pub struct Shard(usize);

impl Shard {
    /// All shards, in order.
    pub fn all() -> [Self; SHARDS] {
        std::array::from_fn(Self)
    }

    /// The shard of a user.
    pub(crate) fn of(user_id: &str) -> Self {
        Self(usize::from(slot(user_id)) * SHARDS / usize::from(SLOTS))
    }

    /// Its index among all shards.
    pub(crate) const fn number(self) -> usize {
        self.0
    }

    /// The key `name` of this shard, in its slot: `name:{tag}`.
    pub(crate) fn key(self, name: &str) -> String {
        format!("{name}:{{{}}}", TAGS[self.0])
    }
}

/// The slot of a key without a hash tag.
fn slot(key: &str) -> u16 {
    State::<XMODEM>::calculate(key.as_bytes()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_tags_hash_to_evenly_spread_slots() {
        for (number, tag) in TAGS.iter().enumerate() {
            let place = usize::from(slot(tag));
            assert_eq!(place / 1024, number, "{tag}");
            assert!((256..=832).contains(&(place % 1024)), "{tag}");
        }
    }

    #[test]
    fn slot_numbers_match_redis() {
        assert_eq!(slot("foo"), 12182, "as CLUSTER KEYSLOT says");
        assert_eq!(slot("123456789"), 0x31C3, "the check value of CRC-16/XMODEM");
    }
}
