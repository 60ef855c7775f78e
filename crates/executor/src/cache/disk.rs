//! The lower level: sealed artifacts in a folder.

use std::path::Path;

use outlayer_bounded_folder::{BoundedFolder, FolderError};
use outlayer_protocol::Hash32;

use super::{
    image::Image,
    seal::{Seal, Trusted},
};

/// The extension of an artifact's file.
const COMPILED: &str = "compiled";

/// A folder of artifacts. Any number of executors and processes may share it.
pub(crate) struct Disk {
    folder: BoundedFolder,
    seal: Seal,
}

impl Disk {
    /// Opens or makes the folder, which holds at most `capacity` bytes. Other users must not be
    /// able to write in it, or to read its key.
    pub(crate) fn open(dir: &Path, capacity: u64) -> Result<Self, FolderError> {
        let folder = BoundedFolder::open(dir, COMPILED, capacity)?;
        let seal = Seal::new(&folder.secret()?);
        Ok(Self { folder, seal })
    }

    /// What was put under `name`, if it is there and unchanged; it then counts as used now. A file
    /// that was changed is removed.
    pub(super) fn get<I: Image>(&self, name: &Hash32) -> Option<Trusted<I>> {
        self.folder.read(name, u64::MAX, |file, length| self.seal.copy(name, file, length))
    }

    /// The same, for a reader that does not hand it to wasmtime.
    pub(crate) fn bytes(&self, name: &Hash32) -> Option<Vec<u8>> {
        self.get(name).map(Trusted::into_image)
    }

    /// Keeps `content` under `name`, and removes what was used longest ago until the rest fits. If
    /// that fails, nothing is kept.
    pub(crate) fn put(&self, name: &Hash32, content: &[u8]) {
        let footer = self.seal.footer(name, content);
        if let Err(error) = self.folder.put(name, &[content, &footer]) {
            let dir = self.folder.dir().display();
            tracing::warn!(%dir, %error, "a compiled module is not kept");
        }
    }

    /// Notes that what lies under `name` was used now.
    pub(crate) fn touch(&self, name: &Hash32) {
        self.folder.touch(name);
    }

    /// Removes what lies under `name`.
    pub(crate) fn discard(&self, name: &Hash32) {
        self.folder.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use tempfile::TempDir;

    use super::*;

    const BYTES: usize = 10_000;

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn open(dir: &TempDir) -> Disk {
        Disk::open(dir.path(), BYTES as u64).unwrap()
    }

    fn path(disk: &Disk, name: &Hash32) -> PathBuf {
        disk.folder.path(name)
    }

    fn name(text: &str) -> Hash32 {
        Hash32::of(text.as_bytes())
    }

    #[test]
    fn what_was_kept_is_found_again_by_another_process() {
        let dir = folder();
        let content = vec![3; 1_000];
        open(&dir).put(&name("a"), &content);
        assert_eq!(open(&dir).bytes(&name("a")), Some(content));
        assert_eq!(open(&dir).bytes(&name("b")), None);
        let names: BTreeSet<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let expected = ["key".to_owned(), format!("{}.compiled", name("a"))];
        assert_eq!(names, expected.into(), "nothing but the key and a hash");
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_is_removed_and_can_be_replaced() {
        let dir = folder();
        let disk = open(&dir);
        let (a, b) = (name("a"), name("b"));
        disk.put(&a, b"content of a");
        let whole = fs::read(path(&disk, &a)).unwrap();
        let refuse = |file: &[u8], what: &str| {
            fs::write(path(&disk, &a), file).unwrap();
            assert_eq!(disk.bytes(&a), None, "{what}");
            assert!(!path(&disk, &a).exists(), "{what}");
        };
        for at in 0..whole.len() {
            let mut tampered = whole.clone();
            tampered[at] ^= 0x10;
            refuse(&tampered, &format!("byte {at}"));
            refuse(&whole[..at], &format!("cut to {at}"));
        }
        refuse(&vec![0; BYTES * 2], "more than fits");
        disk.put(&b, b"content of b");
        refuse(&fs::read(path(&disk, &b)).unwrap(), "another's file under this name");
        let other = folder();
        open(&other).put(&a, b"content of a");
        refuse(&fs::read(path(&open(&other), &a)).unwrap(), "another folder's file");
        disk.put(&a, b"new content");
        assert_eq!(disk.bytes(&a).as_deref(), Some(&b"new content"[..]));
        assert_eq!(disk.bytes(&b).as_deref(), Some(&b"content of b"[..]));
    }

    #[test]
    fn a_folder_that_goes_away_fails_nothing() {
        let dir = folder();
        let below = dir.path().join("below");
        let disk = Disk::open(&below, BYTES as u64).unwrap();
        fs::remove_dir_all(below).unwrap();
        disk.put(&name("a"), b"content");
        disk.touch(&name("a"));
        disk.discard(&name("a"));
        assert_eq!(disk.bytes(&name("a")), None);
    }
}
