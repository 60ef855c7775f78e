//! What tells that a guest's file or package has changed.

use std::{
    collections::HashSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

/// What a file, or all files of a folder, were like at one time: a hash of their names, sizes and
/// times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The sum of the hashes of all files, so that their order does not matter.
    hashes: u64,
    files: u64,
}

impl Stamp {
    /// The stamp of the file or folder at `path`. `None` when there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mut stamp = Self::default();
        if fs::metadata(path).ok()?.is_dir() {
            stamp.add_folder(path, &mut HashSet::new());
        } else {
            stamp.add_file(path);
        }
        Some(stamp)
    }

    fn add_file(&mut self, path: &Path) {
        let Ok(metadata) = fs::metadata(path) else { return };
        let mut hasher = DefaultHasher::new();
        (path, metadata.len(), metadata.modified().ok()).hash(&mut hasher);
        self.hashes = self.hashes.wrapping_add(hasher.finish());
        self.files = self.files.wrapping_add(1);
    }

    /// Adds the files of a folder, all but hidden ones, what builds write, and the guest's cases.
    /// The state of a chain, which may be kept here, changes with each block. A folder that links
    /// lead to several times is looked into once.
    fn add_folder(&mut self, folder: &Path, looked_into: &mut HashSet<PathBuf>) {
        let is_new = fs::canonicalize(folder).is_ok_and(|path| looked_into.insert(path));
        if !is_new || folder.join("home/genesis.json").is_file() {
            return;
        }
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if name.starts_with('.') || matches!(&*name, "target" | "cases" | "Cargo.lock") {
                continue;
            }
            if path.is_dir() {
                self.add_folder(&path, looked_into);
            } else {
                self.add_file(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_changes_with_its_sources_and_not_with_what_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/main.rs", "fn main() {}");
        let before = Stamp::of(folder.path()).unwrap();
        for built in
            ["target/a", ".git/b", "cases/one/expected", "Cargo.lock", "dev/home/genesis.json"]
        {
            write(built, "anything");
            assert_eq!(Stamp::of(folder.path()), Some(before), "{built}");
        }
        write("src/bin/deep/other.rs", "");
        assert_ne!(Stamp::of(folder.path()), Some(before));
        fs::remove_dir_all(folder.path().join("src/bin")).unwrap();
        assert_eq!(Stamp::of(folder.path()), Some(before));
        fs::rename(folder.path().join("src/main.rs"), folder.path().join("src/lib.rs")).unwrap();
        assert_ne!(Stamp::of(folder.path()), Some(before));
        // Each of these links leads to all of them again.
        for link in 0..20 {
            let link = folder.path().join(format!("src/round-{link}"));
            std::os::unix::fs::symlink(folder.path(), link).unwrap();
        }
        Stamp::of(folder.path()).unwrap();
    }
}
