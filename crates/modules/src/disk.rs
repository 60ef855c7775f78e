//! Code in a folder, in files that are named by its hash.

use std::{io, path::PathBuf};

use outlayer_bounded_folder::BoundedFolder;
use outlayer_protocol::Hash32;

#[derive(Debug)]
pub(crate) struct DiskCache(BoundedFolder);

impl DiskCache {
    pub(crate) fn open(dir: PathBuf, most_bytes: u64) -> io::Result<Self> {
        BoundedFolder::open(&dir, "wasm", most_bytes).map(Self).map_err(io::Error::other)
    }

    /// The bytes with this hash, if they are there. A file with other bytes, or with more than
    /// `most_bytes`, is removed.
    pub(crate) fn read(&self, hash: &Hash32, most_bytes: usize) -> Option<Vec<u8>> {
        let most_bytes = u64::try_from(most_bytes).unwrap_or(u64::MAX);
        self.0.get(hash, most_bytes, |bytes| match Hash32::of(&bytes) {
            found if found == *hash => Ok(bytes),
            found => Err(format!("its bytes have the SHA-256 {found}")),
        })
    }

    /// Writes the file whole or not at all, then removes those used longest ago until all fit.
    pub(crate) fn write(&self, hash: &Hash32, bytes: &[u8]) -> io::Result<()> {
        self.0.put(hash, &[bytes])
    }
}
