//! The request, the block and the accounts that a guest runs for.
//!
//! The environment has the same values, for guests that do not use this crate:
//! `OUTLAYER_REQUEST_ID`, `OUTLAYER_CONTRACT_ID`, `OUTLAYER_BLOCK_HEIGHT`,
//! `OUTLAYER_BLOCK_TIMESTAMP`, `OUTLAYER_EPOCH_HEIGHT`, `OUTLAYER_RANDOM_SEED` (hex),
//! `OUTLAYER_SIGNER_ID`, `OUTLAYER_PREDECESSOR_ID` and `OUTLAYER_ATTACHED_DEPOSIT`.

use std::fmt;

use crate::host;

/// What a guest may know of the call that it answers. All of it is on chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The request's number. The OutLayer contract counts its requests.
    pub request_id: u64,
    /// The account of the OutLayer contract that took the request.
    pub contract_id: String,
    /// The height of the block in which the request was made.
    pub block_height: u64,
    /// The timestamp of that block, in nanoseconds since 1970. The guest's wall clock starts here.
    pub block_timestamp: u64,
    /// The height of the epoch to which that block belongs.
    pub epoch_height: u64,
    /// The seed of all randomness in this execution. Nobody can choose it, but it is no secret: it
    /// is public once the request is on chain.
    pub random_seed: [u8; 32],
    /// The account that signed the transaction in which the request was made.
    pub signer_id: String,
    /// The account that called the OutLayer contract, which is the dApp.
    pub predecessor_id: String,
    /// The deposit that came with the request, in yoctoNEAR.
    pub attached_deposit: u128,
}

/// Why the bytes from the host are not a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside a field.
    Truncated {
        /// The field that was being read.
        field: &'static str,
        /// How many bytes the field needs.
        needed: usize,
        /// How many bytes were left.
        left: usize,
    },
    /// A field that holds text is not valid UTF-8.
    NotText {
        /// The field that was being read.
        field: &'static str,
    },
    /// A field has a value that is not valid for it.
    Invalid {
        /// The name of the field.
        field: &'static str,
    },
    /// Bytes are left after the last field.
    Trailing {
        /// How many bytes.
        left: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { field, needed, left } => {
                write!(f, "context field {field} needs {needed} bytes, {left} are left")
            }
            Self::NotText { field } => write!(f, "context field {field} is not UTF-8"),
            Self::Invalid { field } => write!(f, "context field {field} has no value of its kind"),
            Self::Trailing { left } => write!(f, "{left} bytes follow the last context field"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The context of this execution.
///
/// # Panics
///
/// When the host's answer does not decode. Only a host of another version can cause that.
#[must_use]
pub fn current() -> Context {
    match host::context() {
        Ok(context) => context,
        Err(error) => panic!("the host's context does not decode: {error}"),
    }
}

impl Context {
    /// Reads a context from its borsh encoding: the fields in the order of the struct, integers in
    /// little-endian order, texts with a 32-bit length in front.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] when bytes are missing or left over, or when a text is not valid UTF-8.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader { bytes };
        let context = Self {
            request_id: u64::from_le_bytes(reader.array("request_id")?),
            contract_id: reader.text("contract_id")?,
            block_height: u64::from_le_bytes(reader.array("block_height")?),
            block_timestamp: u64::from_le_bytes(reader.array("block_timestamp")?),
            epoch_height: u64::from_le_bytes(reader.array("epoch_height")?),
            random_seed: reader.array("random_seed")?,
            signer_id: reader.text("signer_id")?,
            predecessor_id: reader.text("predecessor_id")?,
            attached_deposit: u128::from_le_bytes(reader.array("attached_deposit")?),
        };
        match reader.bytes.len() {
            0 => Ok(context),
            left => Err(DecodeError::Trailing { left }),
        }
    }

    /// The seed in lower-case hexadecimal, as in `OUTLAYER_RANDOM_SEED`.
    #[must_use]
    pub fn random_seed_hex(&self) -> String {
        self.random_seed.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A cursor over borsh bytes.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, field: &'static str, needed: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.bytes.split_at_checked(needed).ok_or(DecodeError::Truncated {
            field,
            needed,
            left: self.bytes.len(),
        })?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    fn text(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let length = u32::from_le_bytes(self.array(field)?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.take(field, length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::NotText { field })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Context {
        Context {
            request_id: 7,
            contract_id: "outlayer.near".into(),
            block_height: 1 << 40,
            block_timestamp: 1_700_000_000_000_000_001,
            epoch_height: 3,
            random_seed: std::array::from_fn(|i| u8::try_from(i).unwrap()),
            signer_id: "alice.near".into(),
            predecessor_id: "dapp.near".into(),
            attached_deposit: u128::MAX - 1,
        }
    }

    /// The encoding, spelled out from borsh's rules without this module's code.
    fn sample_bytes() -> Vec<u8> {
        let mut bytes = vec![7, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0];
        bytes.extend_from_slice(b"outlayer.near");
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 1, 0, 0]);
        bytes.extend_from_slice(&1_700_000_000_000_000_001_u64.to_le_bytes());
        bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(0..32);
        bytes.extend_from_slice(b"\x0a\0\0\0alice.near\x09\0\0\0dapp.near");
        bytes.push(0xfe);
        bytes.extend_from_slice(&[0xff; 15]);
        bytes
    }

    #[test]
    fn decodes_every_field() {
        assert_eq!(Context::decode(&sample_bytes()), Ok(sample()));
    }

    #[test]
    fn every_shorter_input_is_refused() {
        let bytes = sample_bytes();
        for length in 0..bytes.len() {
            assert!(
                matches!(Context::decode(&bytes[..length]), Err(DecodeError::Truncated { .. })),
                "{length} bytes were accepted"
            );
        }
    }

    #[test]
    fn a_longer_input_is_refused() {
        let mut bytes = sample_bytes();
        bytes.push(0);
        assert_eq!(Context::decode(&bytes), Err(DecodeError::Trailing { left: 1 }));
    }

    #[test]
    fn a_name_that_is_not_utf8_is_refused() {
        let mut bytes = sample_bytes();
        bytes[12] = 0xff;
        assert_eq!(Context::decode(&bytes), Err(DecodeError::NotText { field: "contract_id" }));
    }

    #[test]
    fn the_hex_seed_has_two_digits_a_byte() {
        let hex = sample().random_seed_hex();
        assert_eq!(hex.len(), 64);
        assert!(hex.starts_with("000102030405060708090a0b"));
    }
}
