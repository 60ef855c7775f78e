//! Where storage reads come from.

use outlayer_protocol::limits::MAX_VALUE_BYTES;

/// A namespace's keys and values as they stand after one block.
pub trait Snapshot {
    /// The value of `key`, `None` when it is absent. Asked at most once for a key in one execution.
    ///
    /// # Errors
    /// [`SnapshotError`] when the value cannot be had; the execution then ends without a verdict.
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError>;
}

/// A value that could not be had, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SnapshotError(
    /// What went wrong, for the operator.
    pub String,
);

impl SnapshotError {
    /// A value that no contract stores.
    pub(crate) fn too_long(bytes: usize) -> Self {
        Self(format!("a value of {bytes} bytes, at most {MAX_VALUE_BYTES} are stored"))
    }
}

/// A namespace without keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptySnapshot;

impl Snapshot for EmptySnapshot {
    fn read(&mut self, _key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        Ok(None)
    }
}
