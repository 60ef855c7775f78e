//! Code in memory. The least recently used leaves first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlayer_protocol::Hash32;

type Entry = (Hash32, Arc<Vec<u8>>);

/// Code of at most `most_bytes` in all. Code is large and the list of it short, so looking through
/// the whole list is fast enough.
#[derive(Debug)]
pub(crate) struct MemoryCache {
    most_bytes: usize,
    /// The most recently used comes last.
    entries: Mutex<Vec<Entry>>,
}

impl MemoryCache {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, hash: &Hash32) -> Option<Arc<Vec<u8>>> {
        let mut entries = self.entries();
        let place = entries.iter().position(|(known, _)| known == hash)?;
        let entry = entries.remove(place);
        let bytes = Arc::clone(&entry.1);
        entries.push(entry);
        Some(bytes)
    }

    pub(crate) fn remove(&self, hash: &Hash32) {
        self.entries().retain(|(known, _)| known != hash);
    }

    pub(crate) fn insert(&self, hash: Hash32, bytes: Arc<Vec<u8>>) {
        if bytes.len() > self.most_bytes {
            return;
        }
        let mut entries = self.entries();
        entries.retain(|(known, _)| *known != hash);
        entries.push((hash, bytes));
        let mut total: usize = entries.iter().map(|(_, bytes)| bytes.len()).sum();
        while total > self.most_bytes && !entries.is_empty() {
            total -= entries.remove(0).1.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_leaves_when_the_bound_is_reached() {
        let cache = MemoryCache::new(10);
        let code = |byte: u8, length: usize| (Hash32([byte; 32]), Arc::new(vec![byte; length]));
        for (hash, bytes) in [code(1, 4), code(2, 4)] {
            cache.insert(hash, bytes);
        }
        assert!(cache.get(&Hash32([1; 32])).is_some());
        let (hash, bytes) = code(3, 4);
        cache.insert(hash, bytes);
        assert!(cache.get(&Hash32([2; 32])).is_none());
        assert!(cache.get(&Hash32([1; 32])).is_some() && cache.get(&Hash32([3; 32])).is_some());
        let (hash, bytes) = code(4, 11);
        cache.insert(hash, bytes);
        assert!(cache.get(&Hash32([4; 32])).is_none() && cache.get(&Hash32([1; 32])).is_some());
    }
}
