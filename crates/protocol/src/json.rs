//! Integers that are too large for JavaScript's numbers: JSON has them as decimal strings.

/// A `u64` as a decimal string. A number is read as well.
pub(crate) mod u64_string {
    use std::fmt;

    use outlayer_json::{Quoted, Reader, Writer};
    use serde::{
        Deserializer, Serializer,
        de::{Error, Visitor},
    };

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn write_json(value: &u64, writer: &mut Writer) {
        writer.text(&value.to_string());
    }

    pub(crate) fn read_json(reader: &mut Reader<'_>) -> u64 {
        const EXPECTED: &str = "a u64 in decimal, as a string or a number";
        if !reader.at_string() {
            return reader.natural(u64::MAX, EXPECTED);
        }
        let text = reader.string(EXPECTED);
        text.parse().unwrap_or_else(|error| {
            let text = Quoted(&text);
            reader.refuse(format_args!("expected a u64 in decimal, found {text}: {error}"));
            0
        })
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Decimal)
    }

    struct Decimal;

    impl Visitor<'_> for Decimal {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a u64 in decimal, as a string or a number")
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            text.parse().map_err(|error| {
                let text = Quoted(text);
                E::custom(format_args!("expected a u64 in decimal, found {text}: {error}"))
            })
        }
    }
}
