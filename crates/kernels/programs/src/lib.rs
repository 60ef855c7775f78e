//! What the programs share: numbers that look random and are the same everywhere.

#![deny(missing_docs)]

/// An endless sequence of numbers (xorshift64*).
pub fn numbers() -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

/// Mixes `next` into a checksum.
pub fn fold(sum: u64, next: u64) -> u64 {
    (sum ^ next).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
}
