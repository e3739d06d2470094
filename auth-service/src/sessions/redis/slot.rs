/// How many slots a Redis Cluster has.
pub(super) const SLOTS: u16 = 16384;

/// The slot of a key: of what stands between its first `{` and the next `}`, if that is not nothing.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % SLOTS
}

/// CRC-16/XMODEM, as the Redis Cluster specification says.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8)
            .fold(crc ^ (u16::from(*byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_specifications() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn what_stands_in_braces_decides() {
        assert_eq!(slot("foo"), 12182, "as CLUSTER KEYSLOT says");
        assert_eq!(slot("sessions:{foo}:bar"), slot("foo"));
        assert_eq!(slot("{foo}{bar}"), slot("foo"));
        assert_eq!(slot("foo{}bar"), crc16(b"foo{}bar") % SLOTS, "nothing in braces");
        assert_eq!(slot("foo{bar"), crc16(b"foo{bar") % SLOTS, "never closed");
    }
}
