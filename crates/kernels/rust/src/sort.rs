//! Sorting 10,000 numbers, and as many pairs.

use crate::{fold, numbers};

/// The number that [`sorting`] returns.
pub const SORTING: u64 = 0xebc7_f60f_e7ed_925b;

const NUMBERS: usize = 10_000;

/// Sorts numbers by an unstable sort, and pairs by a stable one.
pub fn sorting() -> u64 {
    let mut words: Vec<u64> = numbers().take(NUMBERS).collect();
    let mut pairs: Vec<(u64, usize)> =
        words.iter().enumerate().map(|(index, word)| (word % 100, index)).collect();
    words.sort_unstable();
    pairs.sort_by_key(|(key, _)| *key);
    let sum = words.into_iter().fold(0, fold);
    pairs.into_iter().fold(sum, |sum, (_, index)| fold(sum, index as u64))
}
