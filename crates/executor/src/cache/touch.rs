//! When the folder is told that a file in it is in use.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use outlayer_protocol::Hash32;

/// How exact a file's time of use is. A module that runs a thousand times a second touches its file
/// once a minute.
const INTERVAL: Duration = Duration::from_secs(60);
/// How many hashes are remembered. Forgetting one costs a system call.
const MOST: usize = 4_096;

/// When each file was touched last.
#[derive(Default)]
pub(crate) struct Touches(Mutex<HashMap<Hash32, Instant>>);

impl Touches {
    /// Whether it is time to touch the file; if so, it counts as touched.
    pub(crate) fn due(&self, hash: &Hash32) -> bool {
        self.due_at(hash, Instant::now())
    }

    fn due_at(&self, hash: &Hash32, now: Instant) -> bool {
        let mut touched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match touched.get_mut(hash) {
            Some(last) if now.saturating_duration_since(*last) < INTERVAL => return false,
            Some(last) => *last = now,
            None => {
                if touched.len() >= MOST {
                    touched.clear();
                }
                touched.insert(*hash, now);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_touched_once_a_minute() {
        let (touches, now) = (Touches::default(), Instant::now());
        let (one, other) = (Hash32::of(b"1"), Hash32::of(b"2"));
        assert!(touches.due_at(&one, now));
        assert!(!touches.due_at(&one, now + INTERVAL / 2));
        assert!(touches.due_at(&other, now + INTERVAL / 2));
        assert!(touches.due_at(&one, now + INTERVAL));
        assert!(!touches.due_at(&one, now + INTERVAL));
    }
}
