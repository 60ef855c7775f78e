//! Words counted in an ordered map and in a hash map.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::BuildHasherDefault,
};

use crate::{fold, numbers};

/// The number that [`maps_and_strings`] returns.
pub const MAPS_AND_STRINGS: u64 = 0x6960_a2be_f951_7431;

const WORDS: usize = 2_000;

/// Makes words, counts them in both maps, and joins and searches them.
pub fn maps_and_strings() -> u64 {
    let mut ordered = BTreeMap::<String, u64>::new();
    // Hashed with fixed keys.
    let mut hashed = HashMap::<String, u64, BuildHasherDefault<DefaultHasher>>::default();
    for number in numbers().take(WORDS) {
        let word = format!("{}-{:x}", number % 500, number % 7);
        *ordered.entry(word.clone()).or_default() += 1;
        *hashed.entry(word.to_uppercase()).or_default() += number % 10;
    }
    let text = ordered.keys().map(String::as_str).collect::<Vec<_>>().join(",");
    let longest = text.split(',').filter(|word| word.contains("-3")).map(str::len).max();
    let sum = fold(text.len() as u64, longest.unwrap_or_default() as u64);
    ordered.iter().fold(sum, |sum, (word, count)| {
        let other = hashed.get(&word.to_uppercase()).copied().unwrap_or_default();
        fold(fold(sum, *count), other)
    })
}
