//! SHA-256 of 24 MiB.

use measured_programs::numbers;
use sha2::{Digest as _, Sha256};

fn main() {
    let block: Vec<u8> = numbers().take(128 << 10).flat_map(u64::to_le_bytes).collect();
    let mut hash = Sha256::new();
    for _ in 0..24 {
        hash.update(&block);
    }
    println!("{:x}", hash.finalize());
}
