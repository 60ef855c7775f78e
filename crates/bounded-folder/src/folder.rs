//! The folder and its files.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Take, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use outlayer_protocol::Hash32;

use crate::error::FolderError;

/// The extension of a file that is being written.
pub(crate) const PARTIAL: &str = "partial";

/// A file that is still being written after this time was given up.
pub(crate) const STALE: Duration = Duration::from_secs(600);

/// A folder of files `<hash>.<extension>`.
#[derive(Clone, Debug)]
pub struct BoundedFolder {
    dir: PathBuf,
    extension: &'static str,
    capacity: u64,
}

impl BoundedFolder {
    /// Opens the folder, or makes it with its parents, for this process's user alone.
    ///
    /// The files together hold at most `capacity` bytes.
    ///
    /// # Errors
    /// [`FolderError::Io`] when the folder cannot be made or read.
    pub fn open(dir: &Path, extension: &'static str, capacity: u64) -> Result<Self, FolderError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(FolderError::io(dir))?;
        let folder = Self { dir: dir.to_owned(), extension, capacity };
        folder.tidy().map_err(FolderError::io(dir))?;
        Ok(folder)
    }

    /// Where the folder is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the file `name` is, if there is one.
    pub fn path(&self, name: &Hash32) -> PathBuf {
        self.dir.join(format!("{name}.{}", self.extension))
    }

    /// What `check` makes of the content of the file `name`; the file then counts as used now.
    ///
    /// `None` when there is no such file. A file that cannot be read, is larger than `most_bytes`,
    /// or does not pass `check`, which then says what is wrong with it, is reported in the log and
    /// removed.
    pub fn get<T, E: fmt::Display>(
        &self,
        name: &Hash32,
        most_bytes: u64,
        check: impl FnOnce(Vec<u8>) -> Result<T, E>,
    ) -> Option<T> {
        self.read(name, most_bytes, |mut file, length| {
            let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            file.read_to_end(&mut content).map_err(|error| error.to_string())?;
            check(content).map_err(|failure| failure.to_string())
        })
    }

    /// The same for a reader that need not have all of the content in memory at once. It gets the
    /// file at its beginning, which ends after at most `most_bytes`, and its present length.
    pub fn read<T, E: fmt::Display>(
        &self,
        name: &Hash32,
        most_bytes: u64,
        check: impl FnOnce(Take<File>, u64) -> Result<T, E>,
    ) -> Option<T> {
        let path = self.path(name);
        let most_bytes = most_bytes.min(self.capacity);
        let failure = match open(&path, most_bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => error.to_string(),
            Ok((file, length)) => match check(file.take(most_bytes), length) {
                Ok(passed) => {
                    self.touch(name);
                    return Some(passed);
                }
                Err(failure) => failure.to_string(),
            },
        };
        tracing::warn!(path = %path.display(), failure, "a cached file is not used, it is removed");
        self.remove(name);
        None
    }

    /// Writes the file `name`, whose content is `parts` one after the other, and removes what was
    /// used longest ago until the rest fits. A content that is too large is not written.
    ///
    /// # Errors
    /// When the file cannot be written, or others cannot be removed.
    pub fn put(&self, name: &Hash32, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.len() as u64));
        if bytes > self.capacity {
            return Ok(());
        }
        let serial = u64::from_le_bytes(random()?);
        let partial = self.dir.join(format!("{name}.{serial:016x}.{PARTIAL}"));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut file| parts.iter().try_for_each(|part| file.write_all(part)))
            .and_then(|()| fs::rename(&partial, self.path(name)));
        if written.is_err() {
            // The first error is the one that matters.
            let _ = fs::remove_file(&partial);
        }
        written?;
        self.tidy()
    }

    /// Notes that the file `name` was used now.
    pub fn touch(&self, name: &Hash32) {
        let touched =
            File::open(self.path(name)).and_then(|file| file.set_modified(SystemTime::now()));
        match touched {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%name, %error, "a cached file's time of use cannot be set");
            }
            _ => {}
        }
    }

    /// Removes the file `name`. A failure is only reported in the log.
    pub fn remove(&self, name: &Hash32) {
        let path = self.path(name);
        if let Err(error) = remove(&path) {
            tracing::warn!(path = %path.display(), %error, "a cached file cannot be removed");
        }
    }

    /// Removes what was given up while it was written, and what was used longest ago until the
    /// rest fits. Other processes may do the same at the same time.
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
                Some(extension) if extension == self.extension => {
                    total = total.saturating_add(metadata.len());
                    files.push((used, metadata.len(), path));
                }
                Some(PARTIAL) if now.duration_since(used).is_ok_and(|age| age > STALE) => {
                    remove(&path)?;
                }
                _ => {}
            }
        }
        files.sort_unstable();
        for (_, bytes, path) in files {
            if total <= self.capacity {
                break;
            }
            remove(&path)?;
            total = total.saturating_sub(bytes);
        }
        Ok(())
    }
}

/// Opens a file of at most `most_bytes`, and gives its length.
fn open(path: &Path, most_bytes: u64) -> io::Result<(File, u64)> {
    // Only a regular file is opened: opening a pipe would wait for somebody who writes to it.
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() || metadata.len() > most_bytes {
        return Err(io::Error::other("it is not a file, or is larger than one may be"));
    }
    Ok((File::open(path)?, metadata.len()))
}

/// Removes a file that another process may remove at the same time.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}
