//! The upper level: compiled modules in memory, ready to run, by the hash of their source.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use outlayer_protocol::Hash32;

/// The last values used, up to a number of bytes. What was used longest ago goes first.
pub(crate) struct MemoryCache<T> {
    capacity: usize,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    entries: HashMap<Hash32, Entry<T>>,
    bytes: usize,
    clock: u64,
}

struct Entry<T> {
    value: T,
    bytes: usize,
    used: u64,
}

impl<T: Clone> MemoryCache<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, inner: Mutex::new(Inner { entries: HashMap::new(), bytes: 0, clock: 0 }) }
    }

    pub(crate) fn get(&self, hash: &Hash32) -> Option<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.entries.get_mut(hash)?;
        entry.used = now;
        Some(entry.value.clone())
    }

    /// Keeps `value`, which counts as `bytes`, and drops others until all fit.
    pub(crate) fn insert(&self, hash: Hash32, value: T, bytes: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let used = inner.clock;
        if let Some(replaced) = inner.entries.insert(hash, Entry { value, bytes, used }) {
            inner.bytes -= replaced.bytes;
        }
        inner.bytes += bytes;
        while inner.bytes > self.capacity {
            let oldest =
                inner.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            let Some(removed) = oldest.and_then(|hash| inner.entries.remove(&hash)) else {
                break;
            };
            inner.bytes -= removed.bytes;
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.inner.lock().unwrap().entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = MemoryCache::new(10);
        let [a, b, c] = [b"a", b"b", b"c"].map(|name| Hash32::of(name));
        cache.insert(a, 'a', 4);
        cache.insert(b, 'b', 4);
        assert_eq!(cache.get(&a), Some('a'));
        cache.insert(c, 'c', 4);
        assert_eq!((cache.get(&a), cache.get(&b), cache.get(&c)), (Some('a'), None, Some('c')));
        cache.insert(c, 'C', 6);
        assert_eq!((cache.get(&a), cache.get(&c)), (Some('a'), Some('C')));
        cache.insert(b, 'b', 11);
        assert_eq!(cache.len(), 0);
    }
}
