//! A list of byte strings that is paged by position: the last element moves into the place of a removed one, so
//! that adding and removing cost the same at any length. Its owner keeps the length and each element's position.
//!
//! A reader that pages at one block height sees each element once. Across blocks an element may move to a place that
//! was read already; a poller finds it the next time round.

use near_sdk::env;

use crate::store::{position_bytes, remove};

/// The list whose slots have keys that start with `prefix`.
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

    /// Appends `item` and gives its position.
    pub(crate) fn push(&self, length: &mut u32, item: &[u8]) -> u32 {
        let position = *length;
        *length = position.saturating_add(1);
        env::storage_write(&self.key(position), item);
        position
    }

    /// Removes the element at `position`. What is given back has moved there; its owner notes the new position.
    pub(crate) fn remove(&self, length: &mut u32, position: u32) -> Option<Vec<u8>> {
        let last = length.checked_sub(1)?;
        *length = last;
        let moved = (position != last).then(|| env::storage_read(&self.key(last))).flatten();
        if let Some(item) = &moved {
            env::storage_write(&self.key(position), item);
        }
        remove(&self.key(last));
        moved
    }

    /// Up to `limit` elements from `from` on.
    pub(crate) fn page(&self, length: u32, from: u64, limit: u64) -> Vec<Vec<u8>> {
        let end = from.saturating_add(limit).min(length.into());
        (from..end)
            .filter_map(|index| env::storage_read(&self.key(u32::try_from(index).ok()?)))
            .collect()
    }
}
