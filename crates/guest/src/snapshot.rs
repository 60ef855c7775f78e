//! Where storage reads come from.

use outlayer_protocol::limits::MAX_VALUE_BYTES;

use crate::fetch::Fetch;

/// A namespace's keys and values as they stood after one block.
///
/// A closure from a key to its value is a snapshot too.
pub trait Snapshot {
    /// The value of `key`, `None` when it is absent. An execution asks at most once for each key.
    ///
    /// # Errors
    /// [`SnapshotError`] when the value cannot be read; the execution then ends without a verdict.
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError>;

    /// Where the answers of HTTP exchanges come from; `None` where there is no network.
    fn network(&mut self) -> Option<&mut dyn Fetch> {
        None
    }
}

/// A snapshot, and a network beside it.
#[derive(Clone, Copy, Debug)]
pub struct Connected<S, F> {
    /// The storage.
    pub snapshot: S,
    /// The network.
    pub network: F,
}

impl<S: Snapshot, F: Fetch> Snapshot for Connected<S, F> {
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        self.snapshot.read(key)
    }

    fn network(&mut self) -> Option<&mut dyn Fetch> {
        Some(&mut self.network)
    }
}

impl<F> Snapshot for F
where
    F: FnMut(&[u8]) -> Result<Option<Vec<u8>>, SnapshotError>,
{
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        self(key)
    }
}

/// A value could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SnapshotError(
    /// What went wrong, in words for the operator.
    pub String,
);

impl SnapshotError {
    /// The snapshot gave a value of `bytes` bytes, which is longer than any that a contract stores.
    pub fn too_long(bytes: usize) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_is_a_snapshot() {
        let mut asked = Vec::new();
        let mut closure = |key: &[u8]| {
            asked.push(key.to_vec());
            if key.is_empty() {
                Err(SnapshotError("no".to_owned()))
            } else {
                Ok(Some(key.to_vec()))
            }
        };
        let snapshot: &mut dyn Snapshot = &mut closure;
        assert_eq!(snapshot.read(b"a"), Ok(Some(b"a".to_vec())));
        assert_eq!(snapshot.read(b""), Err(SnapshotError("no".to_owned())));
        assert_eq!(asked, [b"a".to_vec(), Vec::new()]);
    }
}
