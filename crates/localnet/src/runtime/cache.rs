//! Where compiled contracts are kept.

use super::types::RuntimeError;
use near_vm_runner::{
    ContractRuntimeCache, FilesystemContractRuntimeCache, noop_background_spawner,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Loaded contracts kept in memory. The VM counts one as 16 MiB, which is far above what most take.
const LOADED_CONTRACTS: usize = 64;

/// Compiled contracts kept on disk, in bytes.
const DISK_BYTES: u64 = 4 << 30;

/// A cache of compiled contracts, on disk with the loaded ones in memory.
pub(super) struct ContractCache {
    cache: FilesystemContractRuntimeCache,
    /// Removed with the cache.
    temporary: Option<PathBuf>,
}

impl ContractCache {
    /// Opens a cache that outlives the process, or one that does not.
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
        .map_err(|error| unusable(path, &error))?;
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
            tracing::debug!(path = %path.display(), %error, "a temporary directory stays");
        }
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> RuntimeError {
    RuntimeError::ContractCache { path: path.to_owned(), reason: error.to_string() }
}

/// A new directory that only this user can read: what is in it gets executed.
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
    builder.create(&path).map_err(|error| unusable(&path, &error))?;
    Ok(path)
}
