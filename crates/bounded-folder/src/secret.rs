//! A secret that all processes that share a folder have in common, and nobody else.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::{
    error::FolderError,
    folder::{BoundedFolder, PARTIAL, random},
};

/// Permissions that the folder must not have: writing by the group or by others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Permissions that the secret must not have: anything for the group or for others.
const ANYTHING_BY_OTHERS: u32 = 0o077;

const FILE: &str = "key";

impl BoundedFolder {
    /// The folder's secret of `N` bytes, which is made at random if there is none. With it, a
    /// process can prove to a later one that it wrote a file.
    ///
    /// Any number of processes may ask at once: the first secret that is there whole is everyone's.
    ///
    /// # Errors
    /// [`FolderError`] when another user owns the folder or the secret, can write in the folder, or
    /// can read the secret; and when it cannot be made or read.
    pub fn secret<const N: usize>(&self) -> Result<[u8; N], FolderError> {
        let dir = self.dir();
        let serial = random().map_err(FolderError::io(dir)).map(u64::from_le_bytes)?;
        let fresh = dir.join(format!("{serial:016x}.{PARTIAL}"));
        let path = dir.join(FILE);
        let secret = write::<N>(&fresh).map_err(FolderError::io(&fresh)).and_then(|user| {
            private(dir, user, WRITABLE_BY_OTHERS)?;
            // A link is made whole or not at all, and never over a file that is there.
            match fs::hard_link(&fresh, &path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(FolderError::Io { path: path.clone(), error })
                }
                _ => read(&path, user),
            }
        });
        // If it cannot be removed now, it is removed when it is stale.
        let _ = fs::remove_file(&fresh);
        secret
    }
}

/// Writes a new secret, and gives the user who owns what this process writes.
fn write<const N: usize>(path: &Path) -> io::Result<u32> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&random::<N>()?)?;
    file.sync_all()?;
    Ok(file.metadata()?.uid())
}

fn read<const N: usize>(path: &Path, user: u32) -> Result<[u8; N], FolderError> {
    private(path, user, ANYTHING_BY_OTHERS)?;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(N as u64 + 1).read_to_end(&mut bytes))
        .map_err(FolderError::io(path))?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| FolderError::Secret { path: path.to_owned(), found, expected: N })
}

/// Checks that `user` owns what is at `path`, and that others have no `forbidden` permission.
fn private(path: &Path, user: u32, forbidden: u32) -> Result<(), FolderError> {
    let metadata = fs::metadata(path).map_err(FolderError::io(path))?;
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

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, thread};

    use super::*;

    const BYTES: usize = 32;

    fn open(dir: &Path) -> Result<[u8; BYTES], FolderError> {
        BoundedFolder::open(dir, "compiled", 1_000)?.secret()
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_folder_and_its_secret_are_private_and_the_secret_stays() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let secret = open(&dir).unwrap();
        assert_ne!(secret, [0; BYTES]);
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(dir.join(FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(open(&dir).unwrap(), secret);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left over");
        assert_ne!(open(&root.path().join("c")).unwrap(), secret, "each folder has its own");
    }

    #[test]
    fn of_many_who_come_first_all_have_the_same_secret() {
        let root = tempfile::tempdir().unwrap();
        let dir = &root.path().join("cache");
        let secrets: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..16).map(|_| scope.spawn(|| open(dir).unwrap())).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o702, 0o1777] {
            chmod(root.path(), mode);
            let error = open(root.path()).unwrap_err();
            let FolderError::Permissions { found, forbidden: 0o022, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(found, mode);
            assert!(!root.path().join(FILE).exists());
        }
        chmod(root.path(), 0o755);
        open(root.path()).unwrap();
    }

    #[test]
    fn a_secret_that_others_can_read_or_that_has_another_length_is_refused() {
        let root = tempfile::tempdir().unwrap();
        open(root.path()).unwrap();
        let path = root.path().join(FILE);
        chmod(&path, 0o640);
        assert!(matches!(
            open(root.path()),
            Err(FolderError::Permissions { forbidden: 0o077, .. })
        ));
        chmod(&path, 0o600);
        for length in [0, BYTES - 1, BYTES + 1] {
            fs::write(&path, vec![1; length]).unwrap();
            let error = open(root.path()).unwrap_err();
            let FolderError::Secret { found, .. } = error else { panic!("{error}") };
            assert_eq!(found, length);
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
