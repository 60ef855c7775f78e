//! The upper level: compiled modules in memory, ready to run, by the hash of their source.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use outlayer_protocol::Hash32;

/// What values take of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes of memory.
    pub(crate) bytes: usize,
    /// File descriptors.
    pub(crate) files: usize,
}

impl Size {
    /// A value of this many bytes that keeps no file open.
    pub(crate) const fn bytes(bytes: usize) -> Self {
        Self { bytes, files: 0 }
    }

    fn fits(self, capacity: Self) -> bool {
        self.bytes <= capacity.bytes && self.files <= capacity.files
    }
}

/// The last values used, as far as they fit together. What was used longest ago goes first.
pub(crate) struct MemoryCache<T> {
    capacity: Size,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    entries: HashMap<Hash32, Entry<T>>,
    total: Size,
    clock: u64,
}

struct Entry<T> {
    value: T,
    size: Size,
    used: u64,
}

impl<T> Inner<T> {
    fn remove(&mut self, hash: &Hash32) -> Option<T> {
        let Entry { value, size, .. } = self.entries.remove(hash)?;
        self.total.bytes -= size.bytes;
        self.total.files -= size.files;
        Some(value)
    }
}

impl<T: Clone> MemoryCache<T> {
    pub(crate) fn new(capacity: Size) -> Self {
        let inner = Inner { entries: HashMap::new(), total: Size::default(), clock: 0 };
        Self { capacity, inner: Mutex::new(inner) }
    }

    pub(crate) fn get(&self, hash: &Hash32) -> Option<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.entries.get_mut(hash)?;
        entry.used = now;
        Some(entry.value.clone())
    }

    /// Keeps `value`, which counts as `size`, and drops others until all fit. A value that does not
    /// fit by itself is not kept.
    pub(crate) fn insert(&self, hash: Hash32, value: T, size: Size) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remove(&hash);
        if !size.fits(self.capacity) {
            return;
        }
        inner.clock += 1;
        let used = inner.clock;
        inner.total.bytes += size.bytes;
        inner.total.files += size.files;
        inner.entries.insert(hash, Entry { value, size, used });
        while !inner.total.fits(self.capacity) {
            let oldest =
                inner.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            if oldest.and_then(|hash| inner.remove(&hash)).is_none() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = MemoryCache::new(Size { bytes: 10, files: 1 });
        let [a, b, c] = [b"a", b"b", b"c"].map(|name| Hash32::of(name));
        cache.insert(a, 'a', Size::bytes(4));
        cache.insert(b, 'b', Size::bytes(4));
        assert_eq!(cache.get(&a), Some('a'));
        cache.insert(c, 'c', Size::bytes(4));
        assert_eq!((cache.get(&a), cache.get(&b), cache.get(&c)), (Some('a'), None, Some('c')));
        cache.insert(c, 'C', Size::bytes(6));
        assert_eq!((cache.get(&a), cache.get(&c)), (Some('a'), Some('C')));
        cache.insert(b, 'b', Size::bytes(11));
        assert_eq!((cache.get(&a), cache.get(&b), cache.get(&c)), (Some('a'), None, Some('C')));
    }

    #[test]
    fn what_keeps_files_open_goes_when_there_are_too_many_of_them() {
        let cache = MemoryCache::new(Size { bytes: 10, files: 2 });
        let [a, b, c] = [b"a", b"b", b"c"].map(|name| Hash32::of(name));
        cache.insert(a, 'a', Size { bytes: 1, files: 1 });
        cache.insert(b, 'b', Size { bytes: 1, files: 1 });
        cache.insert(b, 'B', Size { bytes: 1, files: 1 });
        assert_eq!((cache.get(&a), cache.get(&b)), (Some('a'), Some('B')));
        cache.insert(c, 'c', Size { bytes: 1, files: 1 });
        assert_eq!((cache.get(&a), cache.get(&b), cache.get(&c)), (None, Some('B'), Some('c')));
        cache.insert(a, 'a', Size { bytes: 1, files: 3 });
        assert_eq!((cache.get(&a), cache.get(&b), cache.get(&c)), (None, Some('B'), Some('c')));
    }
}
