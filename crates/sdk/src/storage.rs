//! The key-value namespace of the account that made the request.
//!
//! A guest sees the namespace as it stood after one block, plus its own writes. What it reads is
//! recorded with the execution. What it writes and removes is applied on chain when the request
//! settles: all of it or nothing. If a key that it read has changed by then, the execution is not
//! accepted and the worker runs the guest again, so no update is ever lost.
//!
//! The host ends the execution (outcome `LimitExceeded`) when a key, a value or the sum of the
//! writes is larger than the request's limits allow.

use crate::host;

/// The value at `key`, or `None` when there is none.
#[must_use]
pub fn read(key: &[u8]) -> Option<Vec<u8>> {
    host::storage_read(key)
}

/// Whether there is a value at `key`. This counts as a read of the key.
#[must_use]
pub fn contains(key: &[u8]) -> bool {
    host::storage_contains(key)
}

/// Puts `value` at `key`, and replaces what was there.
pub fn write(key: &[u8], value: &[u8]) {
    host::storage_write(key, value);
}

/// Removes the value at `key`, and returns whether there was one. This counts as a read of the key.
pub fn remove(key: &[u8]) -> bool {
    host::storage_remove(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_seen_and_a_remove_forgets_it() {
        assert_eq!(read(b"k"), None);
        write(b"k", b"one");
        write(b"k", b"two");
        assert_eq!(read(b"k"), Some(b"two".to_vec()));
        assert!(contains(b"k"));
        assert!(remove(b"k"));
        assert!(!remove(b"k"));
        assert!(!contains(b"k"));
        assert_eq!(read(b"k"), None);
    }

    #[test]
    fn an_empty_value_is_a_value() {
        write(b"empty", b"");
        assert_eq!(read(b"empty"), Some(Vec::new()));
        assert!(contains(b"empty"));
    }
}
