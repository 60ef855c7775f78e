//! Compiled modules are kept on two levels: in memory, ready to run ([`memory`]), and in a folder, for the next
//! start ([`disk`]).
//!
//! The hash of the bytes at hand is computed for every execution, and is the only way to what was compiled from them. What
//! comes from the folder is loaded only when an authenticator ([`seal`]) proves that a process with this
//! folder's key wrote it, under this name; the name ([`name`]) binds the code and all that shapes what is
//! compiled from it. Everything else that lies there is compiled again and replaced. Nothing that fails here fails an
//! execution: without the folder, modules are compiled.
//!
//! A refusal is remembered in memory only, beside the modules: what it cost to find out is not paid twice.

mod disk;
mod folder;
mod memory;
mod name;
mod probe;
mod seal;
mod touch;
mod turns;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use outlayer_guest::Fault;
use outlayer_protocol::{Hash32, Status};
use wasmtime::{Engine, Module, component::Component};

use crate::error::Rejection;

use self::seal::Trusted;
pub(crate) use self::{
    disk::Disk, memory::MemoryCache, name::Names, probe::probe, touch::Touches, turns::Turns,
};

/// What a remembered refusal counts for in memory, bytes: more than its text has.
const REFUSAL_BYTES: usize = 1 << 10;

/// How the compiled modules of an executor were come by, since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Modules that were compiled, or refused in the attempt.
    pub compiled: u64,
    /// Modules that were loaded from the folder.
    pub loaded: u64,
}

/// The same, while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    compiled: AtomicU64,
    loaded: AtomicU64,
}

impl Counters {
    pub(crate) fn compiled(&self) {
        self.compiled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn loaded(&self) {
        self.loaded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> CacheCounts {
        CacheCounts {
            compiled: self.compiled.load(Ordering::Relaxed),
            loaded: self.loaded.load(Ordering::Relaxed),
        }
    }
}

/// What all caches of an executor share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The folder, if there is one.
    pub(crate) disk: Option<Arc<Disk>>,
    pub(crate) counters: Arc<Counters>,
    /// What each cache keeps in memory, bytes.
    pub(crate) memory_bytes: usize,
}

/// What wasmtime compiles, and can write down and load.
pub(crate) trait Artifact: Sized {
    /// wasmtime's own loading, which trusts the bytes.
    const LOAD: unsafe fn(&Engine, Vec<u8>) -> wasmtime::Result<Self>;

    /// The bytes that it loads again.
    fn serialize(&self) -> wasmtime::Result<Vec<u8>>;
}

impl Artifact for Module {
    const LOAD: unsafe fn(&Engine, Vec<u8>) -> wasmtime::Result<Self> = Self::deserialize;

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        Self::serialize(self)
    }
}

impl Artifact for Component {
    const LOAD: unsafe fn(&Engine, Vec<u8>) -> wasmtime::Result<Self> = Self::deserialize;

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        Self::serialize(self)
    }
}

/// An engine that turns code into something to run.
pub(crate) trait Compiler {
    /// What it compiles.
    type Artifact: Artifact;
    /// The same, ready to be instantiated.
    type Linked: Clone;

    /// wasmtime's engine.
    fn engine(&self) -> &Engine;

    /// Compiles code, which is expensive.
    fn compile(&self, code: &[u8]) -> Result<Self::Artifact, Rejection>;

    /// Connects what was compiled from so many bytes to the host, which is cheap.
    fn link(&self, artifact: &Self::Artifact, code_bytes: usize) -> Result<Self::Linked, Status>;
}

/// What one engine has compiled.
pub(crate) struct Cache<T> {
    memory: MemoryCache<Result<T, Status>>,
    names: Names,
    touches: Touches,
    turns: Turns,
    shared: Shared,
}

impl<T: Clone> Cache<T> {
    /// An empty cache. `prepared` is what the engine's preparation makes of the probe, by [`probe`](probe()).
    pub(crate) fn new(shared: &Shared, kind: &str, engine: &Engine, prepared: &[u8]) -> Self {
        Self {
            memory: MemoryCache::new(shared.memory_bytes),
            names: Names::of_engine(kind, engine, prepared),
            touches: Touches::default(),
            turns: Turns::default(),
            shared: shared.clone(),
        }
    }

    /// What `code` was compiled to: from memory, from the folder, or by compiling it now. Of several threads that want the
    /// same one compiles.
    pub(crate) fn get<C: Compiler<Linked = T>>(
        &self,
        compiler: &C,
        code: &[u8],
    ) -> Result<T, Rejection> {
        let hash = Hash32::of(code);
        if let Some(known) = self.remembered(&hash) {
            return Ok(known?);
        }
        let turn = self.turns.of(hash);
        let _turn = Turns::wait(&turn);
        if let Some(known) = self.remembered(&hash) {
            return Ok(known?);
        }
        let found = match self.load(compiler, &hash) {
            Some(artifact) => compiler.link(&artifact, code.len()),
            None => self.compile(compiler, hash, code)?,
        };
        let bytes = if found.is_ok() { code.len() } else { REFUSAL_BYTES };
        self.memory.insert(hash, found.clone(), bytes);
        Ok(found?)
    }

    fn remembered(&self, hash: &Hash32) -> Option<Result<T, Status>> {
        let known = self.memory.get(hash)?;
        if let (Ok(_), Some(disk)) = (&known, &self.shared.disk)
            && self.touches.due(hash)
        {
            disk.touch(&self.names.of(hash));
        }
        Some(known)
    }

    fn load<C: Compiler>(&self, compiler: &C, hash: &Hash32) -> Option<C::Artifact> {
        let disk = self.shared.disk.as_ref()?;
        let name = self.names.of(hash);
        match load(compiler.engine(), disk.get(&name)?) {
            Ok(artifact) => {
                self.touches.due(hash);
                self.shared.counters.loaded();
                tracing::debug!(%hash, "loaded what was compiled before");
                Some(artifact)
            }
            Err(error) => {
                tracing::warn!(%hash, error = format!("{error:#}"), "what was compiled before cannot be loaded, it is compiled again");
                disk.discard(&name);
                None
            }
        }
    }

    /// Compiles, and keeps what came of it when it can be linked. A verdict is `Ok(Err(_))`, a fault an error.
    fn compile<C: Compiler<Linked = T>>(
        &self,
        compiler: &C,
        hash: Hash32,
        code: &[u8],
    ) -> Result<Result<T, Status>, Fault> {
        self.shared.counters.compiled();
        let artifact = match compiler.compile(code) {
            Ok(artifact) => artifact,
            Err(Rejection::Verdict(status)) => return Ok(Err(status)),
            Err(Rejection::Fault(fault)) => return Err(fault),
        };
        let linked = compiler.link(&artifact, code.len());
        tracing::debug!(%hash, bytes = code.len(), "compiled");
        if let (Ok(_), Some(disk)) = (&linked, &self.shared.disk) {
            match artifact.serialize() {
                Ok(bytes) => disk.put(&self.names.of(&hash), &bytes),
                Err(error) => {
                    tracing::warn!(%hash, error = format!("{error:#}"), "what was compiled cannot be kept");
                }
            }
            self.touches.due(&hash);
        }
        Ok(linked)
    }
}

/// Loads an artifact that an executor with this folder's key has written.
fn load<A: Artifact>(engine: &Engine, bytes: Trusted) -> wasmtime::Result<A> {
    // SAFETY: wasmtime asks for bytes that its own `serialize` gave, unchanged. The authenticator proves that a holder of the
    // folder's key, which is an executor, wrote them under the name of this engine's kind of artifact; and wasmtime
    // itself refuses those of another version or configuration of its own. They lie in this process's memory.
    unsafe { A::LOAD(engine, bytes.into_bytes()) }
}
