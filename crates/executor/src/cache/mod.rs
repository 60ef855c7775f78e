//! Compiled modules are kept on two levels: in memory, ready to run ([`memory`]), and in a folder,
//! for the next start ([`disk`]).
//!
//! Only the hash of the code leads to what was compiled from it. Whoever loads the code computes
//! it, and it is computed again only before something is compiled and kept under it. A file in the
//! folder is loaded only when its seal ([`seal`]) proves that a process with this folder's key
//! wrote it under this name. The name ([`name`]) binds the code and everything that shapes what it
//! compiles to. Any other file is removed, and the code is compiled again. No failure here fails an
//! execution: without the folder, modules are compiled.
//!
//! That a guest was rejected is remembered too, in memory only, so that the work of finding out is
//! not done twice.

mod disk;
mod image;
mod memory;
mod name;
mod probe;
mod seal;
mod symbols;
mod touch;
mod turns;

use std::{
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use outlayer_guest::{Code, Fault};
use outlayer_protocol::{Hash32, Status};
use wasmtime::{Engine, Module, component::Component};

use self::{
    image::{Image, Mappable},
    seal::Trusted,
};
use crate::error::Rejection;

pub(crate) use self::{
    disk::Disk,
    memory::{MemoryCache, Size},
    name::Names,
    probe::probe,
    touch::Touches,
    turns::Turns,
};

/// What the status of a rejected guest counts for in memory, bytes. Its text is shorter.
const REJECTION_BYTES: usize = 1 << 10;

/// The most file descriptors that the artifacts of one backend keep open. There are three backends,
/// and a process may have as few as 1,024 descriptors, a child 512.
const MOST_FILES: usize = 128;

/// Where the compiled modules of an executor came from, since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Modules that were compiled, or that the compiler rejected.
    pub compiled: u64,
    /// Modules that were rejected before anything was compiled, by their bytes, imports or exports.
    /// NEAR contracts are not counted.
    pub rejected: u64,
    /// Modules that were loaded from the folder.
    pub loaded: u64,
}

/// [`CacheCounts`] that threads count together.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    compiled: AtomicU64,
    rejected: AtomicU64,
    loaded: AtomicU64,
}

impl Counters {
    pub(crate) fn compiled(&self) {
        self.compiled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn loaded(&self) {
        self.loaded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> CacheCounts {
        CacheCounts {
            compiled: self.compiled.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            loaded: self.loaded.load(Ordering::Relaxed),
        }
    }
}

/// What all caches of an executor have in common.
#[derive(Clone)]
pub(crate) struct CacheResources {
    /// The folder; `None` when nothing is kept between runs.
    pub(crate) disk: Option<Arc<Disk>>,
    pub(crate) counters: Arc<Counters>,
    /// How much each cache keeps in memory, in bytes of compiled code.
    pub(crate) memory_bytes: usize,
    /// Where temporary folders are made; `None` is the system's choice.
    pub(crate) scratch_dir: Option<PathBuf>,
}

/// What wasmtime compiles, and can serialize and load.
pub(crate) trait Artifact: Sized {
    /// What it is loaded from.
    type Image: Image;

    /// Loads it with wasmtime's own function, which trusts the image.
    ///
    /// # Safety
    /// The image holds what [`serialize`](Self::serialize) gave, in a process whose wasmtime would
    /// load it, and nobody changes it anymore.
    unsafe fn load(engine: &Engine, image: Self::Image) -> wasmtime::Result<Self>;

    /// The bytes from which it can be loaded.
    fn serialize(&self) -> wasmtime::Result<Vec<u8>>;

    /// Where in memory its code and its tables lie.
    fn image(&self) -> Range<*const u8>;

    /// In how many memories wasmtime may map data, for which it keeps files open.
    fn memories(&self) -> usize;

    /// What it takes as long as it is in memory.
    fn size(&self) -> Size {
        let Range { start, end } = self.image();
        let bytes = (end as usize).saturating_sub(start as usize);
        Size { bytes, files: self.memories() }
    }
}

impl Artifact for Module {
    type Image = Mappable;

    unsafe fn load(engine: &Engine, image: Mappable) -> wasmtime::Result<Self> {
        // SAFETY: both functions ask for what is said about the image.
        unsafe {
            match image {
                #[cfg(target_os = "linux")]
                Mappable::File(file) => Self::deserialize_open_file(engine, file),
                Mappable::Memory(bytes) => Self::deserialize(engine, bytes),
            }
        }
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        Self::serialize(self)
    }

    fn image(&self) -> Range<*const u8> {
        self.image_range()
    }

    fn memories(&self) -> usize {
        self.resources_required().num_memories as usize
    }
}

impl Artifact for Component {
    // wasmtime maps a component from a path only, and a file that has one is in others' reach.
    type Image = Vec<u8>;

    unsafe fn load(engine: &Engine, image: Vec<u8>) -> wasmtime::Result<Self> {
        // SAFETY: the function asks for what is said about the image.
        unsafe { Self::deserialize(engine, image) }
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        Self::serialize(self)
    }

    fn image(&self) -> Range<*const u8> {
        self.image_range()
    }

    fn memories(&self) -> usize {
        // It is unknown only where modules are imported, which the host has none of.
        self.resources_required().map_or(MOST_FILES, |required| required.num_memories as usize)
    }
}

/// A backend that turns code into something to run.
pub(crate) trait Compiler {
    /// What it compiles code to.
    type Artifact: Artifact;
    /// An artifact that is connected to the host and ready to be instantiated.
    type Linked: Clone;

    /// wasmtime's engine.
    fn engine(&self) -> &Engine;

    /// What is compiled in place of `code`. A guest whose imports or exports do not fit is rejected
    /// here, before anything expensive.
    fn prepare(&self, code: &[u8]) -> Result<Vec<u8>, Rejection>;

    /// Compiles what was prepared, which is expensive.
    fn compile(&self, prepared: &[u8]) -> Result<Self::Artifact, Rejection>;

    /// Connects an artifact to the host, which is cheap. It was compiled from `code_bytes` bytes.
    fn link(&self, artifact: &Self::Artifact, code_bytes: usize) -> Result<Self::Linked, Status>;
}

/// What one backend has compiled.
pub(crate) struct Cache<T> {
    memory: MemoryCache<Result<T, Status>>,
    names: Names,
    touches: Touches,
    turns: Turns,
    resources: CacheResources,
}

impl<T: Clone> Cache<T> {
    /// An empty cache. `kind` names the backend, and `prepared` is what it makes of the sample that
    /// [`probe`](probe()) hands to it.
    pub(crate) fn new(
        resources: &CacheResources,
        kind: &str,
        engine: &Engine,
        prepared: &[u8],
    ) -> Self {
        Self {
            memory: MemoryCache::new(Size { bytes: resources.memory_bytes, files: MOST_FILES }),
            names: Names::of_wasmtime(kind, engine, prepared),
            touches: Touches::default(),
            turns: Turns::default(),
            resources: resources.clone(),
        }
    }

    /// What `code` compiles to: from memory, from the folder, or by compiling it now. When several
    /// threads want the same, one of them compiles.
    pub(crate) fn get<C: Compiler<Linked = T>>(
        &self,
        compiler: &C,
        code: Code<'_>,
    ) -> Result<T, Rejection> {
        let hash = code.hash();
        if let Some(known) = self.remembered(&hash) {
            return Ok(known?);
        }
        let turn = self.turns.of(hash);
        let _turn = Turns::wait(&turn);
        if let Some(known) = self.remembered(&hash) {
            return Ok(known?);
        }
        let linked = match self.load(compiler, &hash) {
            Some(artifact) => link(compiler, &artifact, code),
            None => self.compile(compiler, code)?,
        };
        let (found, size) = match linked {
            Ok((linked, size)) => (Ok(linked), size),
            Err(status) => (Err(status), Size::bytes(REJECTION_BYTES)),
        };
        self.memory.insert(hash, found.clone(), size);
        Ok(found?)
    }

    fn remembered(&self, hash: &Hash32) -> Option<Result<T, Status>> {
        let known = self.memory.get(hash)?;
        if let (Ok(_), Some(disk)) = (&known, &self.resources.disk)
            && self.touches.due(hash)
        {
            disk.touch(&self.names.of(hash));
        }
        Some(known)
    }

    fn load<C: Compiler>(&self, compiler: &C, hash: &Hash32) -> Option<C::Artifact> {
        let disk = self.resources.disk.as_ref()?;
        let name = self.names.of(hash);
        match load(compiler.engine(), disk.get(&name)?) {
            Ok(artifact) => {
                self.touches.due(hash);
                self.resources.counters.loaded();
                tracing::debug!(%hash, "loaded a module that was compiled before");
                Some(artifact)
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    %hash,
                    error,
                    "a module that was compiled before cannot be loaded, it is compiled again"
                );
                disk.discard(&name);
                None
            }
        }
    }

    /// Compiles, and keeps the artifact when it can be linked. A verdict is `Ok(Err(_))`, and a
    /// fault is an error.
    fn compile<C: Compiler<Linked = T>>(
        &self,
        compiler: &C,
        code: Code<'_>,
    ) -> Result<Linked<T>, Fault> {
        code.check()?;
        let hash = code.hash();
        let counters = &self.resources.counters;
        let prepared = match compiler.prepare(code.bytes()) {
            Ok(prepared) => prepared,
            Err(rejection) => {
                counters.rejected();
                return rejection.into_verdict().map(Err);
            }
        };
        counters.compiled();
        let artifact = match compiler.compile(&prepared) {
            Ok(artifact) => artifact,
            Err(rejection) => return rejection.into_verdict().map(Err),
        };
        let linked = link(compiler, &artifact, code);
        tracing::debug!(%hash, bytes = code.bytes().len(), "compiled");
        if let (Ok(_), Some(disk)) = (&linked, &self.resources.disk) {
            match artifact.serialize() {
                Ok(bytes) => disk.put(&self.names.of(&hash), &symbols::strip(bytes)),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(%hash, error, "a compiled module cannot be kept");
                }
            }
            self.touches.due(&hash);
        }
        Ok(linked)
    }
}

/// What can be run and what it takes in memory, or why it cannot be.
type Linked<T> = Result<(T, Size), Status>;

fn link<C: Compiler>(compiler: &C, artifact: &C::Artifact, code: Code<'_>) -> Linked<C::Linked> {
    Ok((compiler.link(artifact, code.bytes().len())?, artifact.size()))
}

/// Loads an artifact that an executor with this folder's key has written.
fn load<A: Artifact>(engine: &Engine, image: Trusted<A::Image>) -> wasmtime::Result<A> {
    // SAFETY: wasmtime asks for bytes that its own `serialize` gave, unchanged. The seal proves
    // that a holder of the folder's key, which is an executor, wrote them under the name of this
    // backend's kind of artifact; and wasmtime itself refuses those of another version or
    // configuration. The image is a copy: it lies in this process's memory, or in an anonymous file
    // that this process alone has open and that is sealed against every change.
    unsafe { A::load(engine, image.into_image()) }
}
