//! SHA-256 of 64 KiB.

use sha2::{Digest as _, Sha256};

use crate::numbers;

/// The number that [`sha256`] returns: the first eight bytes of the digest.
pub const SHA256: u64 = 0xb3a2_75a8_45f1_d698;

/// Hashes 64 KiB.
pub fn sha256() -> u64 {
    let data: Vec<u8> = numbers().take(8 << 10).flat_map(u64::to_le_bytes).collect();
    Sha256::digest(&data).iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}
