//! Code in a folder, in files that are named by its hash.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use outlayer_protocol::Hash32;

#[derive(Debug)]
pub(crate) struct DiskCache {
    dir: PathBuf,
    most_bytes: u64,
    /// Counts the files that this process has begun to write, so that each has a name of its own.
    writes: AtomicU64,
}

impl DiskCache {
    pub(crate) fn open(dir: PathBuf, most_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, most_bytes, writes: AtomicU64::new(0) })
    }

    fn path(&self, hash: &Hash32) -> PathBuf {
        self.dir.join(format!("{hash}.wasm"))
    }

    /// The bytes with this hash, if they are there. A file whose bytes have another hash is
    /// removed.
    pub(crate) fn read(&self, hash: &Hash32, most_bytes: usize) -> Option<Vec<u8>> {
        let path = self.path(hash);
        let limit = u64::try_from(most_bytes).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        fs::File::open(&path).ok()?.take(limit.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        if bytes.len() <= most_bytes && Hash32::of(&bytes) == *hash {
            return Some(bytes);
        }
        tracing::warn!(
            path = %path.display(), "a cached file is not what its name says; it is fetched again"
        );
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "it cannot be removed");
        }
        None
    }

    /// Writes the file whole or not at all, then removes old ones until all fit again.
    pub(crate) fn write(&self, hash: &Hash32, bytes: &[u8]) -> io::Result<()> {
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > self.most_bytes {
            return Ok(());
        }
        let serial = self.writes.fetch_add(1, Ordering::Relaxed);
        let partial = self.dir.join(format!("{hash}.{}-{serial}.partial", std::process::id()));
        let written =
            fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, self.path(hash)));
        if written.is_err() {
            // The first error is the one to report, whether or not this succeeds.
            let _ = fs::remove_file(&partial);
        }
        written?;
        self.make_room()
    }

    /// Removes the oldest files until the rest fits.
    fn make_room(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file()
                && entry.path().extension().is_some_and(|extension| extension == "wasm")
            {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort_unstable();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= self.most_bytes {
                break;
            }
            fs::remove_file(path)?;
            total = total.saturating_sub(length);
        }
        Ok(())
    }
}
