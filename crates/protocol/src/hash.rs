//! SHA-256 hashes: of code, input, output, records.

use std::{fmt, str::FromStr};

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::{FromJson, Quoted, Reader, ToJson, Writer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::sha256::sha256;

/// A SHA-256 hash: 32 bytes, written as 64 lower-case hex digits in text and JSON.
#[cfg_attr(feature = "abi", derive(borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
)]
pub struct Hash32(pub [u8; 32]);

impl Hash32 {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(&[bytes]))
    }

    /// The SHA-256 of several byte strings, one after the other.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        Self(sha256(parts))
    }

    /// The SHA-256 of a value's borsh encoding.
    pub fn of_borsh<T: Encode>(value: &T) -> Self {
        Self::of(&outlayer_codec::to_vec(value))
    }

    /// The hash as an array.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hex digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a SHA-256 as 64 hex digits, found {} ({length} characters)", Quoted(.found))]
pub struct ParseHashError {
    /// The start of what was found (at most 80 characters).
    pub found: String,
    /// How many characters it has.
    pub length: usize,
}

impl FromStr for Hash32 {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(ParseHashError {
                found: text.chars().take(80).collect(),
                length: text.chars().count(),
            }),
        }
    }
}

impl Serialize for Hash32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToJson for Hash32 {
    fn write(&self, writer: &mut Writer) {
        writer.text(&hex::encode(self.0));
    }
}

impl FromJson for Hash32 {
    #[inline(never)]
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.string("a string").parse().unwrap_or_else(|error: ParseHashError| {
            reader.refuse(format_args!("{error}"));
            Self::default()
        })
    }
}

impl<'de> Deserialize<'de> for Hash32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc_is_the_published_vector() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash32::of(b"abc").to_string(), expected);
        assert_eq!(Hash32::of_parts(&[b"a", b"", b"bc"]).to_string(), expected);
        assert_eq!(expected.parse(), Ok(Hash32::of(b"abc")));
    }

    #[test]
    fn hashing_borsh_hashes_what_borsh_writes() {
        let value = (7u64, (String::from("seven"), vec![1u8, 2, 3]));
        assert_eq!(Hash32::of_borsh(&value), Hash32::of(&borsh::to_vec(&value).unwrap()));
    }

    #[test]
    fn a_text_that_is_no_hash_is_named_in_the_error() {
        let error = "xyz".parse::<Hash32>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a SHA-256 as 64 hex digits, found \"xyz\" (3 characters)"
        );
        assert!(serde_json::from_str::<Hash32>("\"00\"").is_err());
    }
}
