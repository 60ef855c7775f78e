//! Byte strings: in base64 in JSON, with a length prefix in borsh.

use std::{fmt, ops::Deref};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::{FromJson, Reader, ToJson, Writer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes of any content. JSON writes them in standard base64 with padding.
#[cfg_attr(feature = "abi", derive(borsh::BorshSchema))]
#[derive(
    Clone,
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
pub struct Bytes(pub Vec<u8>);

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let head = self.0.get(..SHOWN).unwrap_or(&self.0);
        write!(f, "\"{}\"", head.escape_ascii())?;
        if self.0.len() > SHOWN {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl ToJson for Bytes {
    fn write(&self, writer: &mut Writer) {
        // Base64 has nothing to escape. The length is exact, and fits because a value of this
        // length is in memory; so nothing is refused.
        let length = base64::encoded_len(self.0.len(), true).unwrap_or_default();
        writer.raw("\"");
        let written = BASE64_STANDARD.encode_slice(&self.0, writer.space(length));
        debug_assert_eq!(written, Ok(length));
        writer.raw("\"");
    }
}

impl FromJson for Bytes {
    fn read(reader: &mut Reader<'_>) -> Self {
        let text = reader.string("a string");
        match BASE64_STANDARD.decode(&*text) {
            Ok(bytes) => Self(bytes),
            Err(error) => {
                reader.refuse(format_args!("expected base64: {error}"));
                Self::default()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        BASE64_STANDARD
            .decode(text)
            .map(Self)
            .map_err(|error| D::Error::custom(format!("expected base64: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_base64_both_ways() {
        let bytes = Bytes::from(&[0u8, 255, 10][..]);
        let json = serde_json::to_string(&bytes).unwrap();
        assert_eq!(json, "\"AP8K\"");
        assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), bytes);
        assert!(serde_json::from_str::<Bytes>("\"not base64!\"").is_err());
    }

    #[test]
    fn debug_output_of_a_long_value_is_short() {
        let text = format!("{:?}", Bytes(vec![b'x'; 1000]));
        assert!(text.ends_with("… (1000 bytes)") && text.len() < 100, "{text}");
    }
}
