//! The kernels that are written in Rust: what programs of some size do.
//!
//! They take no input and import nothing. Each returns a number that depends on all of its work,
//! and the constant beside it is what that number must be, on the host as in Wasm.

#![deny(missing_docs)]

mod json;
mod maps;
mod sha;
mod sort;

pub use json::{JSON, json};
pub use maps::{MAPS_AND_STRINGS, maps_and_strings};
pub use sha::{SHA256, sha256};
pub use sort::{SORTING, sorting};

/// Marsaglia's xorshift64: numbers for the kernels to work on.
struct Xorshift(u64);

impl Iterator for Xorshift {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0)
    }
}

/// The same sequence of numbers each time.
fn numbers() -> Xorshift {
    Xorshift(0x9e37_79b9_7f4a_7c15)
}

/// Folds a word into a checksum that depends on the order of the words, by a step of FNV-1a.
fn fold(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kernel_returns_its_number() {
        for (found, expected) in [
            (sha256(), SHA256),
            (sorting(), SORTING),
            (maps_and_strings(), MAPS_AND_STRINGS),
            (json(), JSON),
        ] {
            assert_eq!(found, expected, "{found:#x}");
        }
    }
}
