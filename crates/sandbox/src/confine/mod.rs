//! What a child gives up before it reads anything that a guest wrote.

#[cfg(target_os = "linux")]
mod files;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod syscalls;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
mod syscalls {
    //! seccomp is not used here.
    pub(super) fn allow_only(_: bool) -> Result<bool, String> {
        Ok(false)
    }
}
#[cfg(not(target_os = "linux"))]
mod files {
    //! Landlock is not used here.
    pub(super) fn allow_only(_: &[std::path::PathBuf]) -> Result<bool, String> {
        Ok(false)
    }
}

use std::path::PathBuf;

use borsh::{BorshDeserialize, BorshSerialize};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most file descriptors that a child has. What is compiled keeps up to 384 open.
const MOST_DESCRIPTORS: u64 = 512;
/// The largest file that a child writes, bytes.
const MOST_FILE_BYTES: u64 = 1 << 30;

/// Which of the kernel's means hold for this process from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Confinement {
    /// Landlock: no file outside of the given folders.
    pub files: bool,
    /// seccomp: only the system calls that an engine needs.
    pub syscalls: bool,
}

impl Confinement {
    /// Whether everything holds that a Linux kernel offers.
    pub fn is_full(self) -> bool {
        self.files && self.syscalls
    }
}

/// Keeps other processes of the same user from reading this one's memory, and the system from
/// writing it to a file when this process crashes. A process that holds keys does this first, so
/// that not even a child that is confined in no other way can have them.
pub fn hide_memory() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "other processes of this user can read this one's memory");
    }
}

/// Confines this process for good. It may read and write in `folders`, and nowhere else.
///
/// Where the kernel has no Landlock, the process opens no file at all. Where it has no seccomp, or
/// this build does not know its system calls, only the other means hold. What holds is returned.
///
/// This must happen while the process has one thread: Landlock confines the calling thread and
/// those that it starts.
///
/// # Errors
/// The means that failed although the kernel has it.
pub fn confine(folders: &[PathBuf]) -> Result<Confinement, String> {
    // When the system has no memory left, it shall end this process before any other.
    #[cfg(target_os = "linux")]
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "1000") {
        tracing::warn!(%error, "this process is not the first to end when memory runs out");
    }
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Nofile, MOST_DESCRIPTORS),
        (Resource::Fsize, MOST_FILE_BYTES),
    ] {
        // Nobody may raise a limit that is lower already.
        let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(|error| format!("the limit {resource:?} cannot be set: {error}"))?;
    }
    let files =
        files::allow_only(folders).map_err(|error| format!("Landlock cannot be used: {error}"))?;
    let syscalls =
        syscalls::allow_only(files).map_err(|error| format!("seccomp cannot be used: {error}"))?;
    Ok(Confinement { files, syscalls })
}
