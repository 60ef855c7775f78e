//! The directory in which a chain is kept, so that a node that is started again goes on where it was.
//!
//! It holds up to two segments, each a checkpoint and a journal: `checkpoint-N` is the chain at one
//! block, `journal-N` has what went into each block above it. A new segment begins with every window of
//! blocks, and the one before stays, so that a whole window is remembered after a start. A checkpoint
//! is written beside its place and renamed; a journal only grows, and a block is in it before anybody
//! can see it. So a process may be killed at any time: at worst the journal ends in half an entry, which the
//! next start cuts off. (The files are not forced to the disk at each block; after a power failure the
//! newest blocks may be missing.)

use crate::chain::{Chain, Inputs, RestoreError};
use near_primitives::hash::CryptoHash;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What every file begins with: its kind of content and the version of that.
const MAGIC: [u8; 8] = *b"LNSTATE\x01";

/// Bytes of an entry before its content: the length, and the beginning of its sha256.
const HEAD: usize = 4 + 8;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{path}: {reason}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another localnet; give each its own directory")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file does not hold what this version writes.
    #[error("{path} is damaged or of another version; remove the directory to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The content gives no chain.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: RestoreError,
    },
}

/// An open state directory.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Locked while this lives.
    _lock: File,
    /// The newest segment.
    number: u64,
    journal: Option<File>,
    /// Blocks in its journal.
    blocks: usize,
}

impl Store {
    /// Opens a directory, which is made when it is not there, and brings a chain that stands at
    /// its genesis to where the directory has it.
    pub fn open(dir: &Path, chain: &mut Chain) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(|reason| at(dir, reason))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(|reason| at(&path, reason))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { path: dir.into() },
            TryLockError::Error(reason) => at(&path, reason),
        })?;
        let mut store = Self { dir: dir.into(), _lock: lock, number: 0, journal: None, blocks: 0 };
        let mut segments = store.segments()?;
        let Some(newest) = segments.pop() else {
            store.begin(chain, false)?;
            return Ok(store);
        };
        // Where the newest segment follows on another, that one has the blocks below.
        let (follows, checkpoint) = store.read_checkpoint(newest)?;
        match segments.pop().filter(|older| follows && older + 1 == newest) {
            Some(older) => {
                let (_, below) = store.read_checkpoint(older)?;
                store.go_to(chain, older, &below)?;
                store.replay(chain, older)?;
            }
            None => store.go_to(chain, newest, &checkpoint)?,
        }
        store.number = newest;
        store.blocks = store.replay(chain, newest)?;
        store.open_journal()?;
        Ok(store)
    }

    /// Begins a segment at the head of the chain. `follows` tells that the newest segment leads there.
    pub fn begin(&mut self, chain: &Chain, follows: bool) -> Result<(), StoreError> {
        let number = self.number + 1;
        let content = chain.checkpoint().map_err(|reason| at(&self.dir, reason))?;
        let mut bytes = MAGIC.to_vec();
        bytes.push(u8::from(follows));
        bytes.extend_from_slice(&content);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        let (path, temporary) = (self.path("checkpoint", number), self.dir.join("new"));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&temporary, &path));
        written.map_err(|reason| at(&path, reason))?;
        self.number = number;
        self.blocks = 0;
        self.open_journal()?;
        let kept = if follows { number - 1 } else { number };
        for old in self.segments()?.into_iter().filter(|old| *old < kept) {
            for kind in ["checkpoint", "journal"] {
                let path = self.path(kind, old);
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::debug!(path = %path.display(), %error, "an old file stays");
                }
            }
        }
        Ok(())
    }

    /// Keeps the block that now is the head of the chain.
    pub fn append(
        &mut self,
        chain: &Chain,
        inputs: &Inputs,
        hash: CryptoHash,
    ) -> Result<(), StoreError> {
        let path = self.path("journal", self.number);
        let failed = |reason| at(&path, reason);
        let content = inputs.to_bytes(hash).map_err(failed)?;
        let mut entry = u32::try_from(content.len())
            .map_err(|error| failed(std::io::Error::other(error)))?
            .to_le_bytes()
            .to_vec();
        entry.extend_from_slice(&checksum(&content));
        entry.extend_from_slice(&content);
        let Some(journal) = &mut self.journal else {
            return Err(failed(std::io::ErrorKind::NotFound.into()));
        };
        if let Err(reason) = journal.write_all(&entry) {
            // Half an entry must have nothing behind it.
            self.journal = None;
            return Err(failed(reason));
        }
        self.blocks += 1;
        if self.blocks >= chain.history().window() {
            self.begin(chain, true)?;
        }
        Ok(())
    }

    fn path(&self, kind: &str, number: u64) -> PathBuf {
        self.dir.join(format!("{kind}-{number}"))
    }

    /// The numbers of the checkpoints, in order.
    fn segments(&self) -> Result<Vec<u64>, StoreError> {
        let failed = |reason| at(&self.dir, reason);
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("checkpoint-"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read_checkpoint(&self, number: u64) -> Result<(bool, Vec<u8>), StoreError> {
        let path = self.path("checkpoint", number);
        let bytes = std::fs::read(&path).map_err(|reason| at(&path, reason))?;
        let checked = || {
            let (body, digest) = bytes.split_last_chunk::<32>()?;
            let right = <[u8; 32]>::from(Sha256::digest(body)) == *digest;
            let body = body.strip_prefix(&MAGIC).filter(|_| right)?;
            let (follows, content) = body.split_first()?;
            Some((*follows == 1, content.to_vec()))
        };
        checked().ok_or(StoreError::Damaged { path })
    }

    fn go_to(&self, chain: &mut Chain, number: u64, content: &[u8]) -> Result<(), StoreError> {
        chain
            .go_to(content)
            .map_err(|reason| StoreError::Content { path: self.path("checkpoint", number), reason })
    }

    /// Makes the blocks of a journal again, cuts off half an entry at its end, and tells how many
    /// blocks there were. A journal that is not there is an empty one.
    fn replay(&self, chain: &mut Chain, number: u64) -> Result<usize, StoreError> {
        let path = self.path("journal", number);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => file.read_to_end(&mut bytes).map_err(|reason| at(&path, reason))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(reason) => return Err(at(&path, reason)),
        };
        let (mut rest, mut blocks) = (bytes.as_slice(), 0);
        while let Some((content, after)) = next_entry(rest) {
            chain
                .repeat(content)
                .map_err(|reason| StoreError::Content { path: path.clone(), reason })?;
            (rest, blocks) = (after, blocks + 1);
        }
        if !rest.is_empty() {
            let whole = bytes.len() - rest.len();
            tracing::warn!(path = %path.display(), cut = rest.len(), "the journal ends in half an entry");
            let cut = OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)));
            cut.map_err(|reason| at(&path, reason))?;
        }
        Ok(blocks)
    }

    fn open_journal(&mut self) -> Result<(), StoreError> {
        let path = self.path("journal", self.number);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        self.journal = Some(file.map_err(|reason| at(&path, reason))?);
        Ok(())
    }
}

fn at(path: &Path, reason: std::io::Error) -> StoreError {
    StoreError::File { path: path.into(), reason }
}

fn checksum(content: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(content).into();
    let mut start = [0; 8];
    start.copy_from_slice(&digest[..8]);
    start
}

/// The first entry and what comes after it; `None` when there is no whole one.
fn next_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, _) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let content = bytes.get(HEAD..HEAD.checked_add(length)?)?;
    (checksum(content) == bytes[4..HEAD]).then(|| (content, &bytes[HEAD + length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_entry_is_none() {
        let content = b"content".as_slice();
        let mut bytes = 7_u32.to_le_bytes().to_vec();
        bytes.extend_from_slice(&checksum(content));
        bytes.extend_from_slice(content);
        assert_eq!(next_entry(&bytes), Some((content, [].as_slice())));
        for length in 0..bytes.len() {
            assert_eq!(next_entry(&bytes[..length]), None, "{length}");
        }
        bytes[HEAD] ^= 1;
        assert_eq!(next_entry(&bytes), None, "a byte is wrong");
    }
}
