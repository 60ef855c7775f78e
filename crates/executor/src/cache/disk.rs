//! The lower level: sealed artifacts in a folder, in files named by hashes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use outlayer_protocol::Hash32;

use super::{
    folder::{self, FolderError, PARTIAL},
    seal::{FOOTER_BYTES, Seal, Trusted},
};

/// Artifacts have names that end so.
const COMPILED: &str = "compiled";

/// A file that is still being written after so long was given up.
const STALE: Duration = Duration::from_secs(600);

/// A folder of artifacts. Any number of executors and processes may share it.
///
/// Files appear whole, by being renamed; they are not forced to the device first, because one that a crash tore does not pass its
/// seal and is compiled again.
pub(crate) struct Disk {
    dir: PathBuf,
    seal: Seal,
    capacity: u64,
}

impl Disk {
    /// Opens or makes the folder, which holds at most so many bytes.
    pub(crate) fn open(dir: &Path, capacity: u64) -> Result<Self, FolderError> {
        let seal = Seal::new(&folder::open(dir)?);
        let disk = Self { dir: dir.to_owned(), seal, capacity };
        disk.tidy().map_err(|error| FolderError::Io { path: dir.to_owned(), error })?;
        Ok(disk)
    }

    fn path(&self, name: &Hash32) -> PathBuf {
        self.dir.join(format!("{name}.{COMPILED}"))
    }

    /// What was put under `name`, if it is there and as it was; it counts as used now. A file that is not as it was is removed.
    pub(super) fn get(&self, name: &Hash32) -> Option<Trusted> {
        let path = self.path(name);
        let read = self.read(&path);
        if let Err(error) = &read
            && error.kind() == io::ErrorKind::NotFound
        {
            return None;
        }
        let failure = match read.map(|file| self.seal.verify(name, file)) {
            Ok(Some(trusted)) => {
                self.touch(name);
                return Some(trusted);
            }
            Ok(None) => "its seal is not this folder's".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(path = %path.display(), failure, "a kept module is not used, it is compiled again");
        self.discard(name);
        None
    }

    /// What was put under `name`, for a reader that does not need wasmtime's trust.
    pub(crate) fn bytes(&self, name: &Hash32) -> Option<Vec<u8>> {
        self.get(name).map(Trusted::into_bytes)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let most = self.capacity.saturating_add(FOOTER_BYTES as u64);
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_file() || metadata.len() > most {
            return Err(io::Error::other("it is no file, or larger than the folder may be"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Keeps `content` under `name`, and lets go of what was used longest ago until the rest fits. Where that fails, nothing is kept.
    pub(crate) fn put(&self, name: &Hash32, content: &[u8]) {
        if (content.len() as u64).saturating_add(FOOTER_BYTES as u64) > self.capacity {
            return;
        }
        if let Err(error) = self.write(name, content).and_then(|()| self.tidy()) {
            tracing::warn!(dir = %self.dir.display(), %error, "a compiled module is not kept");
        }
    }

    fn write(&self, name: &Hash32, content: &[u8]) -> io::Result<()> {
        let serial = u64::from_le_bytes(folder::random()?);
        let partial = self.dir.join(format!("{name}.{serial:016x}.{PARTIAL}"));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.write_all(&self.seal.footer(name, content))
            })
            .and_then(|()| fs::rename(&partial, self.path(name)));
        if written.is_err() {
            // The error that matters is the first.
            let _ = fs::remove_file(&partial);
        }
        written
    }

    /// Notes that what lies under `name` was used now.
    pub(crate) fn touch(&self, name: &Hash32) {
        let touched =
            File::open(self.path(name)).and_then(|file| file.set_modified(SystemTime::now()));
        match touched {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%name, %error, "a kept module's time of use cannot be set");
            }
            _ => {}
        }
    }

    /// Removes what lies under `name`.
    pub(crate) fn discard(&self, name: &Hash32) {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "it cannot be removed");
            }
            _ => {}
        }
    }

    /// Removes what was given up while it was written, and what was used longest ago until the rest fits. Other processes may do
    /// the same at the same time.
    fn tidy(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut files = Vec::new();
        let mut total = 0u64;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let Some(metadata) = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)
            else {
                continue;
            };
            let used = metadata.modified()?;
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(COMPILED) => {
                    total = total.saturating_add(metadata.len());
                    files.push((used, metadata.len(), path));
                }
                Some(PARTIAL) if now.duration_since(used).is_ok_and(|age| age > STALE) => {
                    removed(&path)?;
                }
                _ => {}
            }
        }
        files.sort_unstable();
        for (_, bytes, path) in files {
            if total <= self.capacity {
                break;
            }
            removed(&path)?;
            total = total.saturating_sub(bytes);
        }
        Ok(())
    }
}

/// Removes a file that another process may remove at the same time.
fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
