use shared_claims::Revocation;
use uuid::Uuid;

use super::Position;

/// Entries with their positions, in some 26 bytes each: an id that is a UUID takes 16.
#[derive(Clone, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    last: Position,
}

impl Packed {
    /// The position of the last entry.
    pub(super) const fn last(&self) -> Position {
        self.last
    }

    pub(super) fn push(&mut self, position: Position, entry: &Revocation) {
        self.number(position.at.wrapping_sub(self.last.at));
        self.number(position.number);
        let (id, not_before, until) = match entry {
            Revocation::Session { sid, until } => (sid, 0, *until),
            Revocation::Subject { sub, not_before, until } => (sub, not_before.saturating_add(1), *until),
        };
        self.number(not_before);
        self.number(until);
        if let Some(uuid) = uuid(id) {
            self.number(0);
            self.bytes.extend(uuid.as_bytes());
        } else {
            self.number(id.len() as u64 + 1);
            self.bytes.extend(id.as_bytes());
        }
        self.last = position;
    }

    /// Appends a number as LEB128: seven bits a byte, the lowest first; the last byte is below 128.
    fn number(&mut self, mut number: u64) {
        while number > 127 {
            self.bytes.push(number.to_le_bytes()[0] | 128);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }

    /// Releases unused memory.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    pub(super) fn iter(&self) -> Entries<'_> {
        Entries { bytes: &self.bytes, at: 0 }
    }
}

/// The UUID whose canonical text is `id`.
fn uuid(id: &str) -> Option<Uuid> {
    let uuid = Uuid::parse_str(id).ok()?;
    (uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == id).then_some(uuid)
}

/// The entries of a [`Packed`].
pub(super) struct Entries<'p> {
    bytes: &'p [u8],
    at: u64,
}

impl Entries<'_> {
    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 127) << shift;
            shift += 7;
            if *byte < 128 {
                return Some(number);
            }
        }
    }

    fn id(&mut self) -> Option<String> {
        let length = self.number()?;
        let is_uuid = length == 0;
        let (id, rest) = self.bytes.split_at_checked(if is_uuid { 16 } else { usize::try_from(length).ok()? - 1 })?;
        self.bytes = rest;
        Some(if is_uuid { Uuid::from_slice(id).ok()?.to_string() } else { String::from_utf8(id.to_vec()).ok()? })
    }
}

impl Iterator for Entries<'_> {
    type Item = (Position, Revocation);

    fn next(&mut self) -> Option<Self::Item> {
        self.at = self.at.wrapping_add(self.number()?);
        let (number, not_before, until) = (self.number()?, self.number()?, self.number()?);
        let id = self.id()?;
        let entry = match not_before.checked_sub(1) {
            None => Revocation::Session { sid: id, until },
            Some(not_before) => Revocation::Subject { sub: id, not_before, until },
        };
        Some((Position { at: self.at, number }, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were() {
        let session = |sid: &str, until| Revocation::Session { sid: sid.to_owned(), until };
        let subject = |sub: &str, not_before| Revocation::Subject { sub: sub.to_owned(), not_before, until: 7 };
        let entries = [
            ((5, 0), session("01890a5d-ac96-774b-bcce-b302099a8057", 1_764_378_000)),
            ((5, 1), session("01890A5D-AC96-774B-BCCE-B302099A8057", 127)),
            ((900, 0), session("01890a5dac96774bbcceb302099a8057", 128)),
            ((3, u64::MAX), session("", 0)),
            ((u64::MAX, 0), subject("é\u{2028}", 0)),
            ((u64::MAX, 9), subject("01890a5d-ac96-774b-bcce-b302099a8057", u64::MAX - 1)),
            ((0, 0), session(&"x".repeat(300), u64::MAX)),
        ]
        .map(|((at, number), entry)| (Position { at, number }, entry));
        let mut packed = Packed::default();
        for (position, entry) in &entries {
            packed.push(*position, entry);
            assert_eq!(packed.last(), *position);
        }
        assert_eq!(packed.iter().collect::<Vec<_>>(), entries);
    }

    #[test]
    fn entry_of_a_session_takes_26_bytes() {
        let mut packed = Packed::default();
        for number in 0..1000 {
            let sid = Uuid::from_u128(number << 60).to_string();
            packed.push(
                Position { at: 1_764_378_000_000, number: 0 },
                &Revocation::Session { sid, until: 1_764_378_000 },
            );
        }
        assert!(packed.bytes.len() < 26_000, "{}", packed.bytes.len());
    }
}
