//! Questions to this machine: its folders, its memory, and what it offers to confine guests.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use super::Finding;

/// A folder with less room than this soon has none, bytes.
const LOW_ROOM: u64 = 1 << 30;

/// Whether files can be written to the folder at `path`, and how much room it has. `check` is what
/// the folder is for.
pub fn folder(check: &'static str, path: Option<&Path>, without: &str) -> Finding {
    let Some(path) = path else {
        return Finding::warn(check, "no folder is set", without);
    };
    let shown = path.display();
    match try_folder(path) {
        Ok(Some(room)) if room < LOW_ROOM => Finding::warn(
            check,
            format!("{shown} has room for {} MiB", room >> 20),
            "Make room on its file system.",
        ),
        Ok(room) => {
            let room = room.map(|room| format!(", with room for {} GiB", room >> 30));
            Finding::ok(check, format!("{shown} can be written{}", room.unwrap_or_default()))
        }
        Err(error) => Finding::fail(
            check,
            format!("{shown}: {error}"),
            format!(
                "Make the folder, and give it to the worker's user: install -d -m 700 '{shown}'"
            ),
        ),
    }
}

/// Writes a file and removes it. Returns the room that is left, bytes.
fn try_folder(path: &Path) -> io::Result<Option<u64>> {
    fs::create_dir_all(path)?;
    let probe = path.join(format!(".probe-{}", std::process::id()));
    let written = fs::File::create(&probe).and_then(|mut file| file.write_all(b"probe"));
    let removed = fs::remove_file(&probe);
    written.and(removed)?;
    Ok(room(path))
}

#[cfg(unix)]
fn room(path: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(path).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

#[cfg(not(unix))]
fn room(_: &Path) -> Option<u64> {
    None
}

/// Which of the kernel's means confine guests.
#[derive(Clone, Copy, Debug)]
pub struct Confined {
    /// Landlock: a guest's process opens no file outside of its folders.
    pub files: bool,
    /// seccomp: it has only the system calls that an engine needs.
    pub system_calls: bool,
}

/// How guests are confined. `Err` has the reason for which no guest can be run at all.
pub fn sandbox(confined: Result<Confined, String>) -> Finding {
    const CHECK: &str = "sandbox";
    match confined {
        Err(reason) => Finding::fail(
            CHECK,
            reason,
            "Guests run in child processes of this program; something keeps it from starting them.",
        ),
        Ok(Confined { files: true, system_calls: true }) => {
            Finding::ok(CHECK, "seccomp and Landlock confine the processes of guests")
        }
        Ok(Confined { files, system_calls }) => {
            let missing = match (files, system_calls) {
                (false, true) => "Landlock",
                (true, false) => "seccomp",
                _ => "seccomp nor Landlock",
            };
            Finding::warn(
                CHECK,
                format!("without {missing}"),
                "Use a Linux kernel that has both (Landlock: 5.13 and later, in the list of \
                 /sys/kernel/security/lsm). Until then give the worker a machine of its own.",
            )
        }
    }
}

/// How much memory executions may take beside what there is on the `machine`, bytes. `None` for
/// what is not known; executions take half of it by default.
pub fn memory(machine: Option<u64>, executions: Option<u64>, concurrency: usize) -> Finding {
    const CHECK: &str = "memory";
    let Some(machine) = machine else {
        return Finding::ok(CHECK, "this system does not say how much memory it has");
    };
    let executions = executions.unwrap_or(machine / 2);
    let found = format!(
        "executions may take {} MiB of {} MiB, {concurrency} at once",
        executions >> 20,
        machine >> 20
    );
    if executions > machine / 10 * 9 {
        let advice = "Lower `memory`: the worker itself, the system and the caches need some too.";
        Finding::fail(CHECK, found, advice)
    } else if executions / (concurrency.max(1) as u64) < 256 << 20 {
        let advice = "Large guests wait for each other. Lower `concurrency`, or add memory.";
        Finding::warn(CHECK, found, advice)
    } else {
        Finding::ok(CHECK, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Level;

    #[test]
    fn a_folder_that_cannot_be_written_fails_with_what_to_do() {
        let folder_ = tempfile::tempdir().unwrap();
        assert_eq!(folder("cache", Some(folder_.path()), "").level, Level::Ok);
        assert_eq!(fs::read_dir(folder_.path()).unwrap().count(), 0, "the probe is gone");
        let blocked = folder_.path().join("file");
        fs::write(&blocked, "").unwrap();
        let found = folder("cache", Some(&blocked.join("below")), "");
        assert_eq!(found.level, Level::Fail);
        assert!(found.advice.unwrap().contains("install -d"), "{}", found.found);
        assert_eq!(folder("cache", None, "Set `cache_dir`.").level, Level::Warn);
    }

    #[test]
    fn memory_that_the_machine_does_not_have_fails() {
        let machine = Some(8 << 30);
        let level = |executions| memory(machine, executions, 2).level;
        assert_eq!(level(Some(8 << 30)), Level::Fail);
        assert_eq!(level(Some(64 << 20)), Level::Warn);
        assert_eq!(level(None), Level::Ok);
        assert_eq!(memory(None, Some(u64::MAX), 2).level, Level::Ok, "not known");
    }

    #[test]
    fn what_is_missing_of_the_confinement_is_named() {
        let with = |files, system_calls| sandbox(Ok(Confined { files, system_calls }));
        assert_eq!(with(true, true).level, Level::Ok);
        assert_eq!(with(false, true).found, "without Landlock");
        assert_eq!(with(true, false).found, "without seccomp");
        assert_eq!(with(false, false).level, Level::Warn);
        assert_eq!(sandbox(Err("no child".into())).level, Level::Fail);
    }
}
