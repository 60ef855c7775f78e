//! The cache of compiled contracts.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use near_vm_runner::{
    ContractRuntimeCache, FilesystemContractRuntimeCache, noop_background_spawner,
};

use super::error::RuntimeError;

/// How many loaded contracts are kept in memory. The VM counts each of them as 16 MiB, which is far
/// more than most take.
const LOADED_CONTRACTS: usize = 64;

/// How many bytes of compiled contracts are kept on disk.
const DISK_BYTES: u64 = 4 << 30;

/// A cache of compiled contracts on disk. Those that are loaded are kept in memory as well.
pub(super) struct ContractCache {
    cache: FilesystemContractRuntimeCache,
    /// The directory, if it is to be removed with the cache.
    temporary: Option<PathBuf>,
}

impl ContractCache {
    /// Opens a cache in `directory`, which outlives the process, or in a temporary directory.
    pub(super) fn open(directory: Option<&Path>) -> Result<Self, RuntimeError> {
        let temporary = match directory {
            Some(_) => None,
            None => Some(temporary_directory()?),
        };
        let path = directory.or(temporary.as_deref()).unwrap_or(Path::new("."));
        let cache = FilesystemContractRuntimeCache::with_memory_cache(
            path,
            None::<&Path>,
            Path::new("contracts"),
            LOADED_CONTRACTS,
            None,
            DISK_BYTES,
            noop_background_spawner(),
        )
        .map_err(|error| unusable(path, error))?;
        Ok(Self { cache, temporary })
    }

    pub(super) fn get(&self) -> &dyn ContractRuntimeCache {
        &self.cache
    }
}

impl Drop for ContractCache {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary
            && let Err(error) = std::fs::remove_dir_all(path)
        {
            tracing::debug!(path = %path.display(), %error, "cannot remove a temporary directory");
        }
    }
}

fn unusable(path: &Path, error: std::io::Error) -> RuntimeError {
    RuntimeError::ContractCache { path: path.to_owned(), source: Arc::new(error) }
}

/// Creates a directory that only this user can access, because what is in it gets executed.
fn temporary_directory() -> Result<PathBuf, RuntimeError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("outlayer-localnet-{}-{number}-{nanos}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path).map_err(|error| unusable(&path, error))?;
    Ok(path)
}
