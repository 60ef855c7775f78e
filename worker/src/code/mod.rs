//! A guest's code: where its bytes come from, and that they are the right ones.
//!
//! Bytes come from memory, from the disk, from an address, or from the contract; whichever it is, they are hashed
//! before they are handed out, every time. A cache's names are hashes only, never a part of an address.

mod disk;
mod fetch;
mod memory;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use outlayer_protocol::{CodeRef, Hash32};

use crate::chain::{At, ChainError, Contract};

/// Bounds on fetching and keeping code.
#[derive(Clone, Debug)]
pub struct CodeConfig {
    /// Where code is kept between runs; `None` keeps it in memory only.
    pub cache_dir: Option<PathBuf>,
    /// The most that is kept in memory, bytes.
    pub memory_bytes: usize,
    /// The most that is kept on disk, bytes.
    pub disk_bytes: u64,
    /// The largest module that is fetched, bytes.
    pub max_code_bytes: usize,
    /// The longest that a download may take.
    pub timeout: Duration,
    /// How many redirects are followed.
    pub redirects: usize,
    /// Whether addresses inside this machine and its private networks may be fetched from. Requests come from anyone,
    /// so a worker that stands beside other services should not.
    pub allow_private_urls: bool,
}

impl Default for CodeConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            memory_bytes: 128 << 20,
            disk_bytes: 2 << 30,
            max_code_bytes: 32 << 20,
            timeout: Duration::from_secs(30),
            redirects: 5,
            allow_private_urls: false,
        }
    }
}

/// Code that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// The bytes have another hash: they are never run.
    #[error("the bytes from {source_name} have the SHA-256 {found}, expected {expected}")]
    Hash {
        /// Where they came from.
        source_name: String,
        /// Their hash.
        found: Hash32,
        /// The hash asked for.
        expected: Hash32,
    },
    /// There are more bytes than are accepted.
    #[error("the code from {source_name} has more than the {limit} bytes that are accepted")]
    TooLarge {
        /// Where it is.
        source_name: String,
        /// Bytes accepted.
        limit: usize,
    },
    /// The address cannot be fetched from.
    #[error("the code at {url} cannot be fetched: {reason}")]
    Download {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// Not published, or not completely.
    #[error("code {hash} is not published in {contract}: {published} bytes of {total} are there")]
    NotPublished {
        /// The code.
        hash: Hash32,
        /// The contract.
        contract: String,
        /// Bytes there.
        published: u32,
        /// Bytes in all, 0 when unknown.
        total: u32,
    },
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Fetches code and keeps it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CodeStore {
    config: Arc<CodeConfig>,
    memory: Arc<memory::MemoryCache>,
    disk: Option<Arc<disk::DiskCache>>,
    web: fetch::Web,
    loading: Arc<Loading>,
}

/// Who is loading what, so that many requests for one module fetch it once.
type Loading = Mutex<HashMap<Hash32, Weak<tokio::sync::Mutex<()>>>>;

impl CodeStore {
    /// A store within the bounds of `config`; a cache folder is created when it is missing.
    ///
    /// # Errors
    /// [`std::io::Error`] when the cache folder or the HTTP client cannot be made.
    pub fn new(config: CodeConfig) -> std::io::Result<Self> {
        let disk = match &config.cache_dir {
            Some(dir) => Some(Arc::new(disk::DiskCache::open(dir.clone(), config.disk_bytes)?)),
            None => None,
        };
        let web = fetch::Web::new(&config).map_err(std::io::Error::other)?;
        let memory = Arc::new(memory::MemoryCache::new(config.memory_bytes));
        Ok(Self { config: Arc::new(config), memory, disk, web, loading: Arc::default() })
    }

    /// The bytes of `code`, which may be published in `contract` as of `at`.
    ///
    /// # Errors
    /// [`CodeError`].
    pub async fn load(
        &self,
        code: &CodeRef,
        contract: &Contract,
        at: At,
    ) -> Result<Arc<Vec<u8>>, CodeError> {
        let hash = code.hash;
        let turn = self.turn(hash);
        let _loading = turn.lock().await;
        if let Some(bytes) = self.memorised(&hash) {
            return Ok(bytes);
        }
        if let Some(bytes) = self.on_disk(hash).await {
            let bytes = Arc::new(bytes);
            self.memory.insert(hash, Arc::clone(&bytes));
            return Ok(bytes);
        }
        let bytes = Arc::new(self.fetch(code, contract, at).await?);
        self.memory.insert(hash, Arc::clone(&bytes));
        self.keep(hash, Arc::clone(&bytes)).await;
        Ok(bytes)
    }

    fn turn(&self, hash: Hash32) -> Arc<tokio::sync::Mutex<()>> {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        loading.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = loading.get(&hash).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        loading.insert(hash, Arc::downgrade(&turn));
        turn
    }

    fn memorised(&self, hash: &Hash32) -> Option<Arc<Vec<u8>>> {
        let bytes = self.memory.get(hash)?;
        if Hash32::of(&bytes) == *hash {
            return Some(bytes);
        }
        tracing::error!(%hash, "code in memory has changed; this machine's memory may be faulty");
        self.memory.remove(hash);
        None
    }

    async fn fetch(
        &self,
        code: &CodeRef,
        contract: &Contract,
        at: At,
    ) -> Result<Vec<u8>, CodeError> {
        let limit = self.config.max_code_bytes;
        let (source_name, bytes) = match &code.url {
            Some(url) => (fetch::shown(url), self.web.download(url, limit).await?),
            None => (
                contract.id().to_string(),
                fetch::published(contract, &code.hash, at, limit).await?,
            ),
        };
        verified(source_name, code.hash, bytes)
    }

    async fn on_disk(&self, hash: Hash32) -> Option<Vec<u8>> {
        let disk = Arc::clone(self.disk.as_ref()?);
        let limit = self.config.max_code_bytes;
        let read = tokio::task::spawn_blocking(move || disk.read(&hash, limit)).await;
        read.ok().flatten()
    }

    async fn keep(&self, hash: Hash32, bytes: Arc<Vec<u8>>) {
        let Some(disk) = self.disk.clone() else {
            return;
        };
        match tokio::task::spawn_blocking(move || disk.write(&hash, &bytes)).await {
            Ok(Ok(())) => {}
            // The cache only saves time: the code is at hand.
            Ok(Err(error)) => tracing::warn!(%hash, %error, "the code is not kept on disk"),
            Err(error) => tracing::warn!(%hash, %error, "the code is not kept on disk"),
        }
    }
}

fn verified(source_name: String, expected: Hash32, bytes: Vec<u8>) -> Result<Vec<u8>, CodeError> {
    let found = Hash32::of(&bytes);
    if found == expected {
        Ok(bytes)
    } else {
        Err(CodeError::Hash { source_name, found, expected })
    }
}

#[cfg(test)]
mod tests;
