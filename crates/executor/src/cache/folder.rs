//! The folder: who may write in it, and its key.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::seal::KEY_BYTES;

/// What the permissions of the folder must not contain: writing by the group or by others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// What the permissions of the key must not contain: anything for the group or for others.
const ANYTHING_BY_OTHERS: u32 = 0o077;

const KEY_FILE: &str = "key";

/// Files that are being written have names that end so.
pub(super) const PARTIAL: &str = "partial";

/// A folder in which nothing is kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// It cannot be made, read or written.
    #[error("{path}: {error}")]
    Io {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Someone else owns it.
    #[error("{path} belongs to user {found}, expected {expected}, who runs this process")]
    Owner {
        /// The folder, or the key in it.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// This process's user.
        expected: u32,
    },
    /// Someone else can write in it, or read the key.
    #[error(
        "{path} has the permissions {found:o}, expected none of {forbidden:o}; change them with chmod"
    )]
    Permissions {
        /// The folder, or the key in it.
        path: PathBuf,
        /// Its permissions.
        found: u32,
        /// Those that it must not have.
        forbidden: u32,
    },
    /// The key is no key.
    #[error("{path} has {found} bytes, expected {KEY_BYTES}; remove it, and another is made")]
    Key {
        /// The key.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
}

/// Makes the folder if need be, and gives its key, which is made if need be.
///
/// Any number of processes may do so at once: the first key that is there whole is everyone's.
pub(super) fn open(dir: &Path) -> Result<[u8; KEY_BYTES], FolderError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| FolderError::Io { path, error }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
    let fresh = dir.join(format!(
        "{:016x}.{PARTIAL}",
        random::<8>().map_err(failed(dir)).map(u64::from_le_bytes)?
    ));
    let key = dir.join(KEY_FILE);
    let opened = write_key(&fresh).map_err(failed(&fresh)).and_then(|user| {
        private(dir, user, WRITABLE_BY_OTHERS)?;
        // A link is made whole or not at all, and never over a key that is there.
        match fs::hard_link(&fresh, &key) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(FolderError::Io { path: key.clone(), error })
            }
            _ => read_key(&key, user),
        }
    });
    // Where it cannot be removed now, a later sweep does it.
    let _ = fs::remove_file(&fresh);
    opened
}

/// Writes a new key, and tells which user owns what this process writes.
fn write_key(path: &Path) -> io::Result<u32> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&random::<KEY_BYTES>()?)?;
    file.sync_all()?;
    Ok(file.metadata()?.uid())
}

fn read_key(path: &Path, user: u32) -> Result<[u8; KEY_BYTES], FolderError> {
    private(path, user, ANYTHING_BY_OTHERS)?;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| FolderError::Io { path: path.to_owned(), error })?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| FolderError::Key { path: path.to_owned(), found })
}

/// Whether `path` is the user's, and others have none of the `forbidden` permissions.
fn private(path: &Path, user: u32, forbidden: u32) -> Result<(), FolderError> {
    let metadata =
        fs::metadata(path).map_err(|error| FolderError::Io { path: path.to_owned(), error })?;
    if metadata.uid() != user {
        let path = path.to_owned();
        return Err(FolderError::Owner { path, found: metadata.uid(), expected: user });
    }
    if metadata.mode() & forbidden != 0 {
        let (path, found) = (path.to_owned(), metadata.mode() & 0o7777);
        return Err(FolderError::Permissions { path, found, forbidden });
    }
    Ok(())
}

/// Random bytes of the operating system.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, thread};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_folder_and_its_key_are_private_and_the_key_stays() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let key = open(&dir).unwrap();
        assert_ne!(key, [0; KEY_BYTES]);
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(dir.join(KEY_FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(open(&dir).unwrap(), key);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left over");
        assert_ne!(open(&root.path().join("c")).unwrap(), key, "each folder has its own");
    }

    #[test]
    fn of_many_who_come_first_all_have_the_same_key() {
        let root = tempfile::tempdir().unwrap();
        let dir = &root.path().join("cache");
        let keys: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..16).map(|_| scope.spawn(|| open(dir).unwrap())).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o702, 0o1777] {
            chmod(root.path(), mode);
            let error = open(root.path()).unwrap_err();
            assert!(
                matches!(error, FolderError::Permissions { found, forbidden: 0o022, .. } if found == mode),
                "{error}"
            );
            assert!(!root.path().join(KEY_FILE).exists());
        }
        chmod(root.path(), 0o755);
        open(root.path()).unwrap();
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let root = tempfile::tempdir().unwrap();
        open(root.path()).unwrap();
        let key = root.path().join(KEY_FILE);
        chmod(&key, 0o640);
        assert!(matches!(
            open(root.path()),
            Err(FolderError::Permissions { forbidden: 0o077, .. })
        ));
        chmod(&key, 0o600);
        for length in [0, KEY_BYTES - 1, KEY_BYTES + 1] {
            fs::write(&key, vec![1; length]).unwrap();
            let error = open(root.path()).unwrap_err();
            assert!(matches!(error, FolderError::Key { found, .. } if found == length), "{error}");
        }
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let user = fs::metadata(root.path()).unwrap().uid();
        let error = private(root.path(), user + 1, WRITABLE_BY_OTHERS).unwrap_err();
        assert!(matches!(error, FolderError::Owner { found, .. } if found == user), "{error}");
    }

    #[test]
    fn what_is_no_folder_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(open(&file), Err(FolderError::Io { .. })));
        assert!(matches!(open(&file.join("below")), Err(FolderError::Io { .. })));
    }
}
