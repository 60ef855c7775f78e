//! A list of byte strings that is paged by position. When an element is removed, the last one moves
//! into its place, so that adding and removing cost the same at any length. The owner of the list
//! keeps its length and the position of each element.
//!
//! A reader that reads all pages at one block height sees each element once. Between blocks an
//! element may move to a place that was read already; a reader that polls finds it the next time.

use near_sdk::env;

use crate::store::{position_bytes, remove};

/// A list. The keys of its entries in state start with `prefix`.
pub(crate) struct Slots {
    prefix: Vec<u8>,
}

impl Slots {
    pub(crate) fn new(prefix: Vec<u8>) -> Self {
        Self { prefix }
    }

    fn key(&self, position: u32) -> Vec<u8> {
        [&self.prefix[..], &position_bytes(position)].concat()
    }

    /// Appends `item`, and gives its position.
    pub(crate) fn push(&self, length: &mut u32, item: &[u8]) -> u32 {
        let position = *length;
        *length = position.saturating_add(1);
        self.set(position, item);
        position
    }

    /// Replaces the element at `position`.
    pub(crate) fn set(&self, position: u32, item: &[u8]) {
        env::storage_write(&self.key(position), item);
    }

    /// Removes the element at `position`. If another element has moved there, gives that element:
    /// the caller notes its new position.
    pub(crate) fn remove(&self, length: &mut u32, position: u32) -> Option<Vec<u8>> {
        let last = length.checked_sub(1)?;
        *length = last;
        let moved = (position != last).then(|| env::storage_read(&self.key(last))).flatten();
        if let Some(item) = &moved {
            self.set(position, item);
        }
        remove(&self.key(last));
        moved
    }

    /// The element at `position`.
    pub(crate) fn get(&self, position: u32) -> Option<Vec<u8>> {
        env::storage_read(&self.key(position))
    }

    /// Up to `limit` elements, from position `from` on.
    pub(crate) fn page(&self, length: u32, from: u64, limit: u64) -> Vec<Vec<u8>> {
        let end = from.saturating_add(limit).min(length.into());
        (from..end).filter_map(|index| self.get(u32::try_from(index).ok()?)).collect()
    }
}
