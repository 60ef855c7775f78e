//! Components: their host functions, and the compiled components.

use outlayer_guest::{
    Fault,
    prepare::{self, stack},
    verdict::invalid_module,
};
use outlayer_protocol::Status;
use wasmtime::{
    Engine,
    component::{Component, ComponentExportIndex, InstancePre, Linker},
};

use crate::{
    cache::{self, Cache, Compiler},
    error::{EngineError, Rejection},
    outlayer,
    state::State,
    verdict::unknown_import,
    wasi_p2,
};

/// Runs components, with the wasmtime engine that counts fuel.
pub(crate) struct ComponentBackend {
    pub(crate) engine: Engine,
    linker: Linker<State>,
    components: Cache<CompiledComponent>,
}

/// A component, ready to be instantiated.
#[derive(Clone)]
pub(crate) struct CompiledComponent {
    pub(crate) pre: InstancePre<State>,
    /// The function `run` of `wasi:cli/run`.
    pub(crate) run: ComponentExportIndex,
}

/// The interface that a command exports, in any version that is compatible with 0.2.
const RUN: &str = "wasi:cli/run@0.2.";

impl ComponentBackend {
    pub(crate) fn new(
        engine: &Engine,
        resources: &cache::CacheResources,
    ) -> Result<Self, EngineError> {
        let mut linker = Linker::new(engine);
        wasi_p2::add_to_linker(&mut linker).map_err(EngineError::new)?;
        outlayer::component::add_to_linker(&mut linker).map_err(EngineError::new)?;
        let probe = cache::probe(|code| Ok(stack::instrument_inside(code, stack::STACK_BYTES)?))?;
        let components = Cache::new(resources, "component", engine, &probe);
        Ok(Self { engine: engine.clone(), linker, components })
    }

    /// The compiled component of `code`.
    pub(crate) fn component(&self, code: &[u8]) -> Result<CompiledComponent, Rejection> {
        self.components.get(self, code)
    }
}

impl Compiler for ComponentBackend {
    type Artifact = Component;
    type Linked = CompiledComponent;

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn compile(&self, code: &[u8]) -> Result<Component, Rejection> {
        let prepared = prepare::component(code)?;
        Component::from_binary(&self.engine, &prepared).map_err(not_compiled)
    }

    fn link(&self, component: &Component, _: usize) -> Result<CompiledComponent, Status> {
        let run = run_export(&self.engine, component)?;
        let pre = self.linker.instantiate_pre(component).map_err(|error| unlinked(&error))?;
        Ok(CompiledComponent { pre, run })
    }
}

fn run_export(engine: &Engine, component: &Component) -> Result<ComponentExportIndex, Status> {
    let ty = component.component_type();
    let name = ty.exports(engine).map(|(name, _)| name).find(|name| name.starts_with(RUN));
    name.and_then(|name| component.get_export_index(None, name))
        .and_then(|instance| component.get_export_index(Some(&instance), "run"))
        .ok_or_else(|| invalid_module("there is no export wasi:cli/run@0.2"))
}

/// Why a component did not compile. wasmtime validates components itself, and rejects some that it
/// cannot translate. Everything else that can fail is the host's.
fn not_compiled(error: wasmtime::Error) -> Rejection {
    let text = format!("{error:#}");
    match text.strip_prefix("failed to parse WebAssembly module: ") {
        Some(reason) => invalid_module(reason).into(),
        None => Fault::engine(error).into(),
    }
}

/// The verdict on a component that cannot be linked: every import must be one of the host's.
fn unlinked(error: &wasmtime::Error) -> Status {
    unknown_import(error).unwrap_or_else(|| invalid_module(format!("{error:#}")))
}
