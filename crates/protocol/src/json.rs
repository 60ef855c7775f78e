//! Integers that are too large for JavaScript's numbers: JSON has them as decimal strings.

/// A `u64` as a decimal string.
pub(crate) mod u64_string {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| {
            D::Error::custom(format!("expected a u64 in decimal, found {text:?}: {error}"))
        })
    }
}
