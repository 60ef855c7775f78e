//! JSON in little Wasm.
//!
//! Every byte of a contract's Wasm is paid for by every call, and `serde_json` takes a third of a
//! contract: its code is generic over where it reads from and writes to, it is inlined into every
//! type, it returns a `Result` for every field, and it brings the conversion of floating-point
//! numbers both ways. This crate has one [`Reader`] and one [`Writer`], whose functions know
//! nothing of the types that are read and written, so that each exists once. To read or write a
//! field is one call.
//!
//! What it writes is byte for byte what `serde_json` writes. It reads what `serde_json` reads,
//! except that
//!
//! * there are no floating-point numbers (a value that nobody asks for may contain them),
//! * a struct is an object, and never an array of its fields,
//! * an object that is read by its fields ([`Fields`]) has no field twice.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

// What the derive macro writes names this crate.
extern crate self as outlayer_json;

mod error;
mod fields;
mod from_json;
mod read;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub use error::{Error, Never};
pub use fields::Fields;
pub use from_json::FromJson;
pub use outlayer_codec_macros::{FromJson, ToJson};
pub use read::Reader;
pub use text::Quoted;
pub use write::{ToJson, Writer};

/// Reads a value from JSON, which must contain nothing else.
///
/// # Errors
/// An [`Error`] that says what was found, what was expected, and where.
pub fn from_slice<T: FromJson>(json: &[u8]) -> Result<T, Error> {
    let mut reader = Reader::new(json)?;
    let value = T::read(&mut reader);
    reader.finish().map(|()| value)
}

/// The JSON of a value, without any white space.
pub fn to_vec(value: &dyn ToJson) -> Vec<u8> {
    let mut writer = Writer::default();
    value.write(&mut writer);
    writer.into_bytes()
}
