//! Compiled contracts. near-vm-runner asks a cache of its host's for them, and loads what it gets
//! without checking it.
//!
//! [`Kept`] is the folder of [`cache`](crate::cache) in the form that near-vm-runner asks for: what
//! comes from there is authenticated, and everything else is compiled.
//!
//! Loading takes milliseconds, and near-vm-runner remembers what it has loaded only in its own
//! cache, which needs a folder of files. So [`Loaded`] has such a cache over an empty folder that
//! this process alone uses. A contract that is authenticated or just compiled lies there from the
//! moment at which it is handed over until it has been loaded.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use near_parameters::vm::Config;
use near_primitives_core::hash::CryptoHash;
use near_vm_runner::{
    CompiledContract, CompiledContractInfo, Contract, ContractCode, ContractRuntimeCache,
    FilesystemContractRuntimeCache, PreparedContract, logic::GasCounter, noop_background_spawner,
};
use outlayer_guest::Fault;
use outlayer_near_host::Code;
use outlayer_protocol::Hash32;
use tempfile::TempDir;

use crate::cache::{CacheResources, MemoryCache, Names, Size, Touches, Turns};

/// What near-vm-runner counts for one place of its cache in memory, bytes.
const PLACE_BYTES: usize = 16 << 20;
/// How many contracts' keys are remembered.
const KEYS: usize = 4_096;
/// A folder in memory, where there is one, because near-vm-runner forces every file to the device.
const MEMORY_FOLDER: &str = "/dev/shm";

/// The last contracts used, ready to run, and below them the folder.
pub(super) struct Cache {
    kept: Kept,
    loaded: Option<Loaded>,
    turns: Turns,
}

impl Cache {
    /// A cache within the bounds of the others.
    pub(super) fn new(resources: &CacheResources) -> Self {
        let places = resources.memory_bytes.div_ceil(PLACE_BYTES);
        let scratch = resources.scratch_dir.as_deref();
        let loaded = match (places > 0).then(|| Loaded::new(places, scratch)).transpose() {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "contracts are loaded again for each call: there is no temporary folder"
                );
                None
            }
        };
        Self { kept: Kept::new(resources), loaded, turns: Turns::default() }
    }

    /// A contract's method, ready to run. The contract is in memory, or is loaded from the folder,
    /// or is compiled. When several threads want the same contract, one of them loads it.
    ///
    /// # Errors
    /// [`Fault::Job`] when the code does not have its hash, as far as that is looked at: a contract
    /// in memory is found by the hash alone.
    pub(super) fn prepare(
        &self,
        code: outlayer_guest::Code<'_>,
        config: &Arc<Config>,
        gas: GasCounter,
        method: &str,
    ) -> Result<Box<dyn PreparedContract>, Fault> {
        let hash = code.hash();
        let contract = Code { hash: CryptoHash(hash.0), bytes: code.bytes() };
        let prepare = |cache: &dyn ContractRuntimeCache| {
            Ok(near_vm_runner::prepare(&contract, Arc::clone(config), Some(cache), gas, method))
        };
        let Some(loaded) = &self.loaded else {
            code.check()?;
            return prepare(&self.kept);
        };
        if let Some(key) = loaded.key(&hash) {
            self.kept.touch(&key);
            return prepare(&loaded.cache);
        }
        code.check()?;
        let turn = self.turns.of(hash);
        let _turn = Turns::wait(&turn);
        if loaded.key(&hash).is_some() {
            return prepare(&loaded.cache);
        }
        // When nothing could be handed over, near-vm-runner compiles.
        let handed =
            self.kept.find(&contract, config).and_then(|found| loaded.hand_over(hash, found));
        let prepared = prepare(&loaded.cache);
        if let Some(file) = handed {
            // A file that cannot be removed counts against the bound, and goes with the folder.
            let _ = fs::remove_file(file);
        }
        prepared
    }
}

/// The contracts that near-vm-runner has loaded.
struct Loaded {
    cache: FilesystemContractRuntimeCache,
    /// near-vm-runner's keys of contracts, by the hash of their code.
    keys: MemoryCache<CryptoHash>,
    /// It is removed with this.
    folder: TempDir,
}

impl Loaded {
    const BELOW: &str = "contracts";

    /// Up to four times as many contracts as there are places, together as large as the places.
    fn new(places: usize, scratch: Option<&Path>) -> io::Result<Self> {
        let folder = match scratch {
            Some(scratch) => tempfile::tempdir_in(scratch)?,
            None => tempfile::tempdir_in(MEMORY_FOLDER).or_else(|_| tempfile::tempdir())?,
        };
        let bytes = places.saturating_mul(PLACE_BYTES) as u64;
        let cache = FilesystemContractRuntimeCache::with_memory_cache(
            folder.path(),
            None::<&Path>,
            Self::BELOW,
            places,
            None,
            bytes.min(FilesystemContractRuntimeCache::MAX_DISK_CACHE_BYTES),
            noop_background_spawner(),
        )?;
        Ok(Self { cache, keys: MemoryCache::new(Size::bytes(KEYS)), folder })
    }

    /// near-vm-runner's key of a contract that is in memory.
    fn key(&self, hash: &Hash32) -> Option<CryptoHash> {
        let key = self.keys.get(hash)?;
        self.cache.memory_cache().contains(key).then_some(key)
    }

    /// Puts a contract where near-vm-runner will look for it. The caller removes the file when the
    /// contract has been loaded.
    fn hand_over(
        &self,
        hash: Hash32,
        (key, info): (CryptoHash, CompiledContractInfo),
    ) -> Option<PathBuf> {
        self.keys.insert(hash, key, Size::bytes(1));
        match self.cache.put(&key, info) {
            Ok(()) => Some(self.folder.path().join(Self::BELOW).join(key.to_string())),
            Err(error) => {
                tracing::warn!(%error, "a contract cannot be handed over, it is compiled again");
                None
            }
        }
    }
}

/// The folder, as a cache of near-vm-runner's. Its keys bind code, configuration and engine.
#[derive(Clone)]
struct Kept(Arc<Folder>);

struct Folder {
    names: Names,
    touches: Touches,
    resources: CacheResources,
}

impl Kept {
    fn new(resources: &CacheResources) -> Self {
        let (names, touches) = (Names::of_near(), Touches::default());
        Self(Arc::new(Folder { names, touches, resources: resources.clone() }))
    }

    fn name(&self, key: &CryptoHash) -> Hash32 {
        self.0.names.of(&Hash32(key.0))
    }

    /// What the contract compiles to, from the folder or by compiling it now, and near-vm-runner's
    /// key for it.
    fn find(
        &self,
        code: &Code<'_>,
        config: &Arc<Config>,
    ) -> Option<(CryptoHash, CompiledContractInfo)> {
        let seen = Seen { kept: self.clone(), last: Arc::default() };
        let code = ContractCode::new(code.bytes.to_vec(), Some(code.hash()));
        if let Err(error) =
            near_vm_runner::precompile_contract(&code, Arc::clone(config), Some(&seen))
        {
            tracing::warn!(%error, "near-vm-runner's cache failed");
        }
        seen.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ContractRuntimeCache for Kept {
    fn handle(&self) -> Box<dyn ContractRuntimeCache> {
        Box::new(self.clone())
    }

    fn put(&self, key: &CryptoHash, value: CompiledContractInfo) -> io::Result<()> {
        self.0.resources.counters.compiled();
        // That a contract was rejected is remembered in memory only.
        if let (CompiledContract::Code(code), Some(disk)) =
            (&value.compiled, &self.0.resources.disk)
        {
            disk.put(&self.name(key), &written(code, value.wasm_bytes));
            self.0.touches.due(&Hash32(key.0));
        }
        Ok(())
    }

    fn get(&self, key: &CryptoHash) -> io::Result<Option<CompiledContractInfo>> {
        let disk = self.0.resources.disk.as_ref();
        let found = disk.and_then(|disk| disk.bytes(&self.name(key))).and_then(read);
        if found.is_some() {
            self.0.resources.counters.loaded();
            self.0.touches.due(&Hash32(key.0));
        }
        Ok(found)
    }

    fn touch(&self, key: &CryptoHash) {
        if let Some(disk) = &self.0.resources.disk
            && self.0.touches.due(&Hash32(key.0))
        {
            disk.touch(&self.name(key));
        }
    }
}

/// What lies in the folder: the compiled code, then the length of the Wasm it was compiled from.
fn written(code: &[u8], wasm_bytes: u64) -> Vec<u8> {
    [code, &wasm_bytes.to_le_bytes()].concat()
}

/// Reads what [`written`] wrote. It truncates the bytes in place, because copying megabytes would
/// take as long as reading them.
fn read(mut bytes: Vec<u8>) -> Option<CompiledContractInfo> {
    let (code, wasm_bytes) = bytes.split_last_chunk()?;
    let (length, wasm_bytes) = (code.len(), u64::from_le_bytes(*wasm_bytes));
    bytes.truncate(length);
    Some(CompiledContractInfo { wasm_bytes, compiled: CompiledContract::Code(bytes) })
}

/// Notes what goes through it.
#[derive(Clone)]
struct Seen {
    kept: Kept,
    last: Arc<Mutex<Option<(CryptoHash, CompiledContractInfo)>>>,
}

impl Seen {
    fn note(&self, key: &CryptoHash, value: CompiledContractInfo) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((*key, value));
    }
}

impl ContractRuntimeCache for Seen {
    fn handle(&self) -> Box<dyn ContractRuntimeCache> {
        Box::new(self.clone())
    }

    fn put(&self, key: &CryptoHash, value: CompiledContractInfo) -> io::Result<()> {
        self.note(key, value.clone());
        self.kept.put(key, value)
    }

    fn get(&self, _: &CryptoHash) -> io::Result<Option<CompiledContractInfo>> {
        // near-vm-runner asks only where `has` said no, and whoever compiles has the turn.
        Ok(None)
    }

    fn has(&self, key: &CryptoHash) -> io::Result<bool> {
        let found = self.kept.get(key)?;
        let has = found.is_some();
        if let Some(value) = found {
            self.note(key, value);
        }
        Ok(has)
    }
}
