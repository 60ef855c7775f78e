//! Sorts 400,000 numbers by an unstable sort, and as many pairs by a stable one.

use measured_programs::{fold, numbers};

fn main() {
    let mut words: Vec<u64> = numbers().take(400_000).collect();
    let mut pairs: Vec<(u64, usize)> =
        words.iter().enumerate().map(|(index, word)| (word % 1_000, index)).collect();
    words.sort_unstable();
    pairs.sort_by_key(|(key, _)| *key);
    let sum = words.into_iter().fold(0, fold);
    println!("{:x}", pairs.into_iter().fold(sum, |sum, (_, index)| fold(sum, index as u64)));
}
