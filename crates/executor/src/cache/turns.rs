//! Which code is being compiled, so that several threads with the same code compile it once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use outlayer_protocol::Hash32;

/// A lock for each hash that is being worked on.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Hash32, Weak<Mutex<()>>>>);

impl Turns {
    /// The lock for `hash`, for [`wait`](Self::wait).
    pub(crate) fn of(&self, hash: Hash32) -> Arc<Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&hash).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(hash, Arc::downgrade(&turn));
        turn
    }

    /// Waits until no other thread has the lock. A thread that had it may have panicked; what it
    /// left undone is done now.
    pub(crate) fn wait(turn: &Mutex<()>) -> MutexGuard<'_, ()> {
        turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
