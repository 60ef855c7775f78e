//! A snapshot that reads through a closure.

use std::fmt::Display;

use crate::{Snapshot, SnapshotError};

/// Reads a namespace's values through a closure.
#[derive(Clone, Debug)]
pub struct ReadWith<F>(
    /// Gives the value of a key, or `None` when the key is absent.
    pub F,
);

impl<F, E> Snapshot for ReadWith<F>
where
    F: FnMut(&[u8]) -> Result<Option<Vec<u8>>, E>,
    E: Display,
{
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        (self.0)(key).map_err(|error| SnapshotError(error.to_string()))
    }
}
