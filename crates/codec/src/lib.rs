//! borsh in little Wasm.
//!
//! Every byte of a contract's Wasm is paid for by every call. The `borsh` crate returns a `Result`
//! for every field of every type, and each of its functions exists once for every reader and
//! writer. Here writing cannot fail, and reading fails as a whole: an [`Input`] that has met an
//! error remembers it, gives zeros from then on, and [`Input::finish`] returns the error. So
//! reading a field is one call.
//!
//! What is written is byte for byte what `borsh` writes, and what is read is what `borsh` reads.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

// What the derive macros write names this crate.
extern crate self as outlayer_codec;

mod decode;
mod encode;

#[cfg(test)]
mod tests;

pub use decode::{Decode, Input, from_slice};
pub use encode::{Encode, to_vec};
pub use outlayer_codec_macros::{Decode, Encode};

/// Why bytes are not the encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// They end too early.
    TooShort,
    /// They go on behind the value.
    TooLong,
    /// A byte, text or account id is none that the type has.
    Invalid,
}

impl Error {
    /// What is wrong, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "unexpected end of the bytes",
            Self::TooLong => "bytes are left over",
            Self::Invalid => "the bytes have a value that the type does not have",
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Error {}
