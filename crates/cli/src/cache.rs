//! The folder in which commands keep code, and what it compiles to, between runs.

use std::path::{Path, PathBuf};

/// Where in the cache folder the engine keeps compiled code. The code itself is beside it.
pub(crate) fn compiled_dir(cache_dir: &Path) -> PathBuf {
    cache_dir.join("compiled")
}
