//! The directory that keeps a chain, so that a node which is started again continues where it was.
//!
//! The directory has up to two segments. Each is a checkpoint and a journal: `checkpoint-N` is the
//! chain at one block, and `journal-N` has the inputs of each block above it. After every window of
//! blocks a new segment begins. The one before it stays, so that a whole window is remembered after
//! a start.
//!
//! The process may be killed at any time. A checkpoint is written to another file, which is then
//! renamed. A journal only grows, and it has a block before anybody can see that block. At worst
//! the journal ends in the middle of an entry, which is cut off at the next start. The files are
//! not forced to the disk at each block, so the newest blocks may be missing after a power failure.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use near_primitives::hash::CryptoHash;
use sha2::{Digest, Sha256};

use crate::chain::{Chain, Inputs, RestoreError};

/// The first bytes of a checkpoint. The last of them is the version of the format.
const MAGIC: [u8; 8] = *b"LNSTATE\x03";

/// The bytes of an entry before its content: the content's length, and the beginning of its
/// SHA-256.
const HEAD: usize = 4 + 8;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The reason that the operating system gives.
        source: io::Error,
    },
    /// Another process has the directory open.
    #[error("{path} is in use by another localnet; give each its own directory")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file is not as this version writes it.
    #[error("{path} is damaged or of another version; remove the directory to begin a new chain")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// No chain can be made from the content of a file.
    #[error("{path}: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with the content.
        source: RestoreError,
    },
}

/// An open state directory.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// The file that is locked as long as the store is open.
    _lock: File,
    /// The number of the newest segment.
    number: u64,
    /// The journal of the newest segment. `None` after a failed write, which nothing may follow.
    journal: Option<File>,
    /// The number of blocks in that journal.
    blocks: usize,
}

impl Store {
    /// Opens a directory, and creates it if it does not exist. `chain` stands at its genesis, and
    /// is brought to the newest block that the directory has kept.
    pub fn open(dir: &Path, chain: &mut Chain) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|source| at(dir, source))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(|source| at(&path, source))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { path: dir.into() },
            TryLockError::Error(source) => at(&path, source),
        })?;
        let mut store = Self { dir: dir.into(), _lock: lock, number: 0, journal: None, blocks: 0 };
        let mut segments = store.segments()?;
        let Some(newest) = segments.pop() else {
            store.begin(chain, false)?;
            return Ok(store);
        };
        // If the newest segment follows another one, that one has the blocks below it.
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

    /// Begins a segment at the head of the chain. `follows` tells whether the newest segment so far
    /// ends there.
    pub fn begin(&mut self, chain: &Chain, follows: bool) -> Result<(), StoreError> {
        let number = self.number + 1;
        let content = chain.checkpoint().map_err(|source| at(&self.dir, source))?;
        let mut bytes = MAGIC.to_vec();
        bytes.push(u8::from(follows));
        bytes.extend_from_slice(&content);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        let (path, temporary) = (self.path("checkpoint", number), self.dir.join("new"));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|source| at(&path, source))?;
        self.number = number;
        self.blocks = 0;
        self.open_journal()?;
        let kept = if follows { number - 1 } else { number };
        for old in self.segments()?.into_iter().filter(|old| *old < kept) {
            for kind in ["checkpoint", "journal"] {
                let path = self.path(kind, old);
                if let Err(error) = fs::remove_file(&path) {
                    tracing::debug!(path = %path.display(), %error, "cannot remove an old file");
                }
            }
        }
        Ok(())
    }

    /// Keeps the block that is now the head of the chain. `hash` is its hash.
    pub fn append(
        &mut self,
        chain: &Chain,
        inputs: &Inputs,
        hash: CryptoHash,
    ) -> Result<(), StoreError> {
        let path = self.path("journal", self.number);
        let failed = |source| at(&path, source);
        let content = inputs.to_bytes(hash).map_err(failed)?;
        let mut entry = u32::try_from(content.len())
            .map_err(|error| failed(io::Error::other(error)))?
            .to_le_bytes()
            .to_vec();
        entry.extend_from_slice(&checksum(&content));
        entry.extend_from_slice(&content);
        let Some(journal) = &mut self.journal else {
            return Err(failed(io::ErrorKind::NotFound.into()));
        };
        if let Err(source) = journal.write_all(&entry) {
            // Nothing may follow an incomplete entry.
            self.journal = None;
            return Err(failed(source));
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

    /// The numbers of the segments, in ascending order.
    fn segments(&self) -> Result<Vec<u64>, StoreError> {
        let failed = |source| at(&self.dir, source);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("checkpoint-"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The content of a checkpoint, and whether its segment follows the one before it.
    fn read_checkpoint(&self, number: u64) -> Result<(bool, Vec<u8>), StoreError> {
        let path = self.path("checkpoint", number);
        let bytes = fs::read(&path).map_err(|source| at(&path, source))?;
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
            .map_err(|source| StoreError::Content { path: self.path("checkpoint", number), source })
    }

    /// Makes the blocks of a journal again, and cuts off an incomplete entry at its end. Returns
    /// the number of blocks. A journal that does not exist counts as empty.
    fn replay(&self, chain: &mut Chain, number: u64) -> Result<usize, StoreError> {
        let path = self.path("journal", number);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => file.read_to_end(&mut bytes).map_err(|source| at(&path, source))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(source) => return Err(at(&path, source)),
        };
        let (mut rest, mut blocks) = (bytes.as_slice(), 0);
        while let Some((content, after)) = next_entry(rest) {
            chain
                .repeat(content)
                .map_err(|source| StoreError::Content { path: path.clone(), source })?;
            (rest, blocks) = (after, blocks + 1);
        }
        if !rest.is_empty() {
            let whole = bytes.len() - rest.len();
            let cut = rest.len();
            tracing::warn!(path = %path.display(), cut, "the journal ends in an incomplete entry");
            let cut = OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)));
            cut.map_err(|source| at(&path, source))?;
        }
        Ok(blocks)
    }

    fn open_journal(&mut self) -> Result<(), StoreError> {
        let path = self.path("journal", self.number);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        self.journal = Some(file.map_err(|source| at(&path, source))?);
        Ok(())
    }
}

fn at(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.into(), source }
}

fn checksum(content: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(content).into();
    let mut start = [0; 8];
    start.copy_from_slice(&digest[..8]);
    start
}

/// The content of the first entry, and the bytes after that entry. `None` if it is incomplete.
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
    fn an_incomplete_entry_is_none() {
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
