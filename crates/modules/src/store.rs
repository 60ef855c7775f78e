//! Fetches code once, and keeps it in memory and in a folder.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use outlayer_client::{At, Contract};
use outlayer_protocol::{CodeRef, Hash32};

use crate::{
    CodeError,
    disk::DiskCache,
    loading::{Loading, OneCode, Source},
    memory::MemoryCache,
    published::published,
    web::{self, Web},
};

/// Bounds on fetching and keeping code.
#[derive(Clone, Debug)]
pub struct CodeConfig {
    /// The folder in which code is kept between runs. `None` keeps it in memory only.
    pub cache_dir: Option<PathBuf>,
    /// The most that is kept in memory, bytes.
    pub memory_bytes: usize,
    /// The most that is kept in the folder, bytes.
    pub disk_bytes: u64,
    /// The largest code that is fetched, bytes. What a request declares has no part in it: only
    /// the hash of all its bytes shows that they are the code, and only then can its length be
    /// judged. So this should be more than the engine takes. Nothing is known of code that is
    /// larger still, and nobody answers a request for it.
    pub max_code_bytes: usize,
    /// The longest time that a download may take.
    pub timeout: Duration,
    /// The least rate at which a download's bytes must arrive, in bytes a second on average.
    pub min_bytes_per_second: u32,
    /// For how long a download's bytes may arrive more slowly than that.
    pub slow_start: Duration,
    /// The most redirects that a download follows.
    pub redirects: usize,
    /// Whether code is also fetched from this machine and its private networks. Anyone can name a
    /// URL in a request, so this should be off on a worker that stands beside other services.
    pub allow_private_urls: bool,
}

impl Default for CodeConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            memory_bytes: 128 << 20,
            disk_bytes: 2 << 30,
            max_code_bytes: 40 << 20,
            timeout: Duration::from_secs(30),
            min_bytes_per_second: 16 << 10,
            slow_start: Duration::from_secs(5),
            redirects: 5,
            allow_private_urls: false,
        }
    }
}

/// Fetches code and keeps it. Clones are cheap and share what is kept.
#[derive(Clone, Debug)]
pub struct CodeStore {
    config: Arc<CodeConfig>,
    memory: Arc<MemoryCache>,
    disk: Option<Arc<DiskCache>>,
    web: Web,
    loading: Arc<Loading>,
}

impl CodeStore {
    /// A store within the bounds of `config`. A cache folder is created when it is missing.
    ///
    /// # Errors
    /// [`io::Error`] when the cache folder cannot be made.
    pub fn new(config: CodeConfig) -> io::Result<Self> {
        let disk = match &config.cache_dir {
            Some(dir) => Some(Arc::new(DiskCache::open(dir.clone(), config.disk_bytes)?)),
            None => None,
        };
        let web = Web::new(&config);
        let memory = Arc::new(MemoryCache::new(config.memory_bytes));
        Ok(Self { config: Arc::new(config), memory, disk, web, loading: Arc::default() })
    }

    /// The bytes of `code`. Code without a URL is read from `contract` as of `at`.
    ///
    /// While several callers wait for the same code, each of their sources is asked once, at the
    /// same time as the others, and the first that has the right bytes serves all.
    ///
    /// # Errors
    /// [`CodeError`].
    pub async fn load(
        &self,
        code: &CodeRef,
        contract: &Contract,
        at: At,
    ) -> Result<Arc<Vec<u8>>, CodeError> {
        let source = match &code.url {
            Some(url) => Source::Url(url.clone()),
            None => Source::Contract(contract.id().clone()),
        };
        let loading = self.loading.of(code.hash);
        tokio::select! {
            biased;
            bytes = loading.arrived() => Ok(bytes),
            loaded = self.load_from(&loading, &source, code.hash, contract, at) => loaded,
        }
    }

    async fn load_from(
        &self,
        loading: &OneCode,
        source: &Source,
        hash: Hash32,
        contract: &Contract,
        at: At,
    ) -> Result<Arc<Vec<u8>>, CodeError> {
        let turn = loading.turn(source);
        let mut failure = turn.take().await?;
        if let Some(bytes) = self.known(&hash).await {
            loading.arrive(&bytes);
            return Ok(bytes);
        }
        match self.fetch(source, hash, contract, at).await {
            Ok(bytes) => {
                let bytes = Arc::new(bytes);
                self.memory.insert(hash, Arc::clone(&bytes));
                self.keep_on_disk(hash, Arc::clone(&bytes)).await;
                loading.arrive(&bytes);
                Ok(bytes)
            }
            Err(error) => {
                *failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The code with this hash, if it is kept here.
    pub async fn known(&self, hash: &Hash32) -> Option<Arc<Vec<u8>>> {
        if let Some(bytes) = self.in_memory(hash) {
            return Some(bytes);
        }
        let bytes = Arc::new(self.on_disk(*hash).await?);
        self.memory.insert(*hash, Arc::clone(&bytes));
        Some(bytes)
    }

    fn in_memory(&self, hash: &Hash32) -> Option<Arc<Vec<u8>>> {
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
        source: &Source,
        hash: Hash32,
        contract: &Contract,
        at: At,
    ) -> Result<Vec<u8>, CodeError> {
        let limit = self.config.max_code_bytes;
        let (source_name, bytes) = match source {
            Source::Url(url) => (web::shown(url), self.web.download(url, limit).await?),
            Source::Contract(id) => (id.to_string(), published(contract, &hash, at, limit).await?),
        };
        let found = Hash32::of(&bytes);
        if found == hash {
            Ok(bytes)
        } else {
            Err(CodeError::Hash { source_name, found, expected: hash })
        }
    }

    async fn on_disk(&self, hash: Hash32) -> Option<Vec<u8>> {
        let disk = Arc::clone(self.disk.as_ref()?);
        let limit = self.config.max_code_bytes;
        let read = tokio::task::spawn_blocking(move || disk.read(&hash, limit)).await;
        read.ok().flatten()
    }

    async fn keep_on_disk(&self, hash: Hash32, bytes: Arc<Vec<u8>>) {
        let Some(disk) = self.disk.clone() else {
            return;
        };
        // The folder only saves time, so a failure does not matter to the caller.
        match tokio::task::spawn_blocking(move || disk.write(&hash, &bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%hash, %error, "the code is not kept on disk"),
            Err(error) => tracing::warn!(%hash, %error, "the code is not kept on disk"),
        }
    }
}
