//! The folder that one child has for itself.
//!
//! Its content is whatever a guest has made of the child, so it is not removed by a function that
//! trusts it: a chain of folders in one another that is long enough would exhaust the stack or the
//! file descriptors of whoever follows it to its end.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use tempfile::Builder;

/// A folder in memory, where there is one: what lies there is gone with the machine.
const MEMORY_FOLDER: &str = "/dev/shm";
/// How its folders are called, before the number of the process that made them.
const PREFIX: &str = "outlayer-child-of-";
/// How deep an engine's own folders lie in one another.
const MOST_LEVELS: u32 = 6;

/// A child's folder. It is removed with this.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn make() -> io::Result<Self> {
        let prefix = format!("{PREFIX}{}-", process::id());
        let make = |parent: &Path| Builder::new().prefix(&prefix).tempdir_in(parent);
        let folder = make(Path::new(MEMORY_FOLDER)).or_else(|_| make(&std::env::temp_dir()))?;
        Ok(Self(folder.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0, MOST_LEVELS) {
            let folder = self.0.display();
            tracing::warn!(%folder, %error, "a child's folder is left behind");
        }
    }
}

/// Removes the folders of processes that have ended without doing so.
pub(crate) fn sweep() {
    for parent in [PathBuf::from(MEMORY_FOLDER), std::env::temp_dir()] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            let maker = maker.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
            if maker.is_some_and(|maker| !is_running(maker)) {
                // It may be somebody else's, or another process is at it too.
                let _ = remove(&entry.path(), MOST_LEVELS);
            }
        }
    }
}

/// Whether there is such a process, where the system shows processes as files; else it may be.
fn is_running(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{pid}")).exists()
}

/// Removes a folder that is at most so many levels deep. Links are not followed.
fn remove(folder: &Path, levels: u32) -> io::Result<()> {
    if levels == 0 {
        return Err(io::Error::other(format!("{} is too deep", folder.display())));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path(), levels - 1)?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_removed_as_deep_as_an_engine_makes_it_and_no_deeper() {
        let scratch = Scratch::make().unwrap();
        let path = scratch.path().to_owned();
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::write(path.join("a/b/file"), b"x").unwrap();
        std::os::unix::fs::symlink("/", path.join("a/link")).unwrap();
        drop(scratch);
        assert!(!path.exists());

        let scratch = Scratch::make().unwrap();
        let path = scratch.path().to_owned();
        let deep: PathBuf = std::iter::repeat_n("d", 500).collect();
        fs::create_dir_all(path.join(deep)).unwrap();
        drop(scratch);
        assert!(path.exists(), "left, and not followed");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn only_the_folders_of_processes_that_have_ended_are_swept() {
        let mine = Scratch::make().unwrap();
        let parent = mine.path().parent().unwrap();
        // No process has this number: it is above what any system gives.
        let gone = parent.join(format!("{PREFIX}4294967295-x"));
        fs::create_dir_all(gone.join("contracts")).unwrap();
        sweep();
        assert!(!gone.exists());
        assert!(mine.path().exists());
    }
}
