//! What a resume carries through the yield: a commitment of fixed size, never the response itself.

use crate::Hash32;

/// The payload of `promise_yield_resume`. It always has [`ResumePayload::BYTES`] bytes (NEAR allows
/// 1,024).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumePayload {
    /// The digest of the staged response's record.
    Digest(Hash32),
    /// The request was cancelled.
    Cancel,
    /// The workers cannot agree any more.
    Dispute,
}

const DIGEST: u8 = 0;
const CANCEL: u8 = 1;
const DISPUTE: u8 = 2;

impl ResumePayload {
    /// Length of an encoded payload, bytes: a tag and 32 more.
    pub const BYTES: usize = 33;

    /// The encoded payload.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (tag, body) = match self {
            Self::Digest(digest) => (DIGEST, digest.0),
            Self::Cancel => (CANCEL, [0; 32]),
            Self::Dispute => (DISPUTE, [0; 32]),
        };
        bytes[0] = tag;
        bytes[1..].copy_from_slice(&body);
        bytes
    }

    /// Decodes a payload; `None` when the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, body) = bytes.split_first()?;
        let body: [u8; 32] = body.try_into().ok()?;
        match *tag {
            DIGEST => Some(Self::Digest(Hash32(body))),
            CANCEL if body == [0; 32] => Some(Self::Cancel),
            DISPUTE if body == [0; 32] => Some(Self::Dispute),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_round_trips_and_nothing_else_decodes() {
        use ResumePayload::{Cancel, Digest, Dispute};
        for payload in [Digest(Hash32::of(b"x")), Cancel, Dispute] {
            assert_eq!(ResumePayload::decode(&payload.encode()), Some(payload));
        }
        assert_eq!(ResumePayload::decode(b""), None);
        assert_eq!(ResumePayload::decode(&[0; 32]), None);
        assert_eq!(ResumePayload::decode(&[1; 33]), None);
        assert_eq!(ResumePayload::decode(&[2; 33]), None);
        assert_eq!(ResumePayload::decode(&[3; 33]), None);
    }
}
