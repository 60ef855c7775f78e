//! Components: their host functions, and the compiled components.

use std::sync::OnceLock;

use outlayer_guest::{
    Code, Fault,
    prepare::{
        self,
        meter::{self, FUEL_LEFT_EXPORT},
    },
    verdict::{invalid_module, no_run},
};
use outlayer_protocol::Status;
use wasmtime::{
    Engine,
    component::{Component, ComponentExportIndex, InstancePre, Linker, Type, types::ComponentItem},
};

use super::settings::{self, Guests};
use crate::{
    cache::{self, Cache, Compiler},
    config::ExecutorConfig,
    counters::Reader,
    error::{EngineError, Rejection},
    outlayer,
    state::State,
    transform,
    verdict::{not_compiled, unknown_import},
    wasi_p2,
};

/// Runs components of one kind.
pub(crate) struct ComponentBackend {
    pub(crate) engine: Engine,
    /// What reads the counters after an error, where modules count. Set up when it is needed.
    reader: Option<OnceLock<Result<Reader, EngineError>>>,
    linker: Linker<State>,
    components: Cache<CompiledComponent>,
}

/// A component, ready to be instantiated.
#[derive(Clone)]
pub(crate) struct CompiledComponent {
    pub(crate) pre: InstancePre<State>,
    /// The function `run` of `wasi:cli/run`.
    pub(crate) run: ComponentExportIndex,
    /// Its transform, if it has one.
    pub(crate) transform: Option<ComponentExportIndex>,
    /// The function that gives what is left of the fuel, where modules count.
    pub(crate) left: Option<ComponentExportIndex>,
}

/// The interface that a command exports, in any version that is compatible with 0.2.
const RUN: &str = "wasi:cli/run@0.2.";

impl ComponentBackend {
    /// For components that contain no other.
    pub(crate) fn components(
        config: &ExecutorConfig,
        resources: &cache::CacheResources,
    ) -> Result<Self, EngineError> {
        let probe = cache::probe(|code| Ok(meter::instrument_in_component(code)?))?;
        Self::new(config, Guests::Components, resources, "component", &probe)
    }

    /// For compositions.
    pub(crate) fn compositions(
        config: &ExecutorConfig,
        resources: &cache::CacheResources,
    ) -> Result<Self, EngineError> {
        let config = &ExecutorConfig { pool: None, ..config.clone() };
        let instrument = meter::instrument_in_composition;
        let probe = cache::probe(|code| Ok(instrument(code, meter::STACK_BYTES)?))?;
        Self::new(config, Guests::Compositions, resources, "composition", &probe)
    }

    fn new(
        config: &ExecutorConfig,
        guests: Guests,
        resources: &cache::CacheResources,
        name: &str,
        probe: &[u8],
    ) -> Result<Self, EngineError> {
        let engine = settings::engine(config, guests)?;
        let reader = (guests == Guests::Components).then(OnceLock::new);
        let mut linker = Linker::new(&engine);
        wasi_p2::add_to_linker(&mut linker).map_err(EngineError::new)?;
        outlayer::component::add_to_linker(&mut linker).map_err(EngineError::new)?;
        let components = Cache::new(resources, name, &engine, probe);
        Ok(Self { engine, reader, linker, components })
    }

    /// What reads the counters after an error. `None` where wasmtime counts.
    pub(crate) fn reader(&self) -> Result<Option<&Reader>, Fault> {
        let Some(reader) = &self.reader else { return Ok(None) };
        let set_up = || Reader::new(&self.engine).map_err(EngineError::new);
        reader.get_or_init(set_up).as_ref().map(Some).map_err(|error| Fault::engine(error.clone()))
    }

    /// The compiled component of `code`.
    pub(crate) fn component(&self, code: Code<'_>) -> Result<CompiledComponent, Rejection> {
        self.components.get(self, code)
    }
}

impl Compiler for ComponentBackend {
    type Artifact = Component;
    type Linked = CompiledComponent;

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn prepare(&self, code: &[u8]) -> Result<Vec<u8>, Rejection> {
        let prepared = prepare::component(code)?;
        let outline = prepare::outline::component(code)?;
        // An outline that does not compile says nothing. The component itself has the last word.
        if let Ok(outline) = Component::from_binary(&self.engine, &outline) {
            self.link(&outline, code.len())?;
        }
        Ok(prepared)
    }

    fn compile(&self, prepared: &[u8]) -> Result<Component, Rejection> {
        Component::from_binary(&self.engine, prepared).map_err(|error| match not_compiled(&error) {
            Some(status) => status.into(),
            None => Fault::engine(error).into(),
        })
    }

    fn link(&self, component: &Component, _: usize) -> Result<CompiledComponent, Status> {
        let run = run_export(&self.engine, component)?;
        let pre = self.linker.instantiate_pre(component).map_err(|error| unlinked(&error))?;
        let left = component.get_export_index(None, FUEL_LEFT_EXPORT);
        let transform =
            component.get_export_index(None, transform::INTERFACE).and_then(|interface| {
                component.get_export_index(Some(&interface), transform::FUNCTION)
            });
        Ok(CompiledComponent { pre, run, transform, left })
    }
}

/// The function that starts the command. A component may export several versions of the interface;
/// the first whose function has the right type is taken.
fn run_export(engine: &Engine, component: &Component) -> Result<ComponentExportIndex, Status> {
    let ty = component.component_type();
    let mut versions = ty.exports(engine).filter(|(name, _)| name.starts_with(RUN)).peekable();
    if versions.peek().is_none() {
        return Err(no_run());
    }
    versions
        .find(|(_, export)| is_command(engine, &export.ty))
        .and_then(|(name, _)| component.get_export_index(None, name))
        .and_then(|instance| component.get_export_index(Some(&instance), "run"))
        .ok_or_else(|| invalid_module("wasi:cli/run has no function run: func() -> result"))
}

/// Whether this is an instance with a function `run: func() -> result`.
fn is_command(engine: &Engine, export: &ComponentItem) -> bool {
    let ComponentItem::ComponentInstance(interface) = export else {
        return false;
    };
    let Some(ComponentItem::ComponentFunc(run)) =
        interface.get_export(engine, "run").map(|export| export.ty)
    else {
        return false;
    };
    let mut results = run.results();
    let result = (results.next(), results.next());
    let is_plain = matches!(
        result, (Some(Type::Result(ty)), None) if ty.ok().is_none() && ty.err().is_none()
    );
    is_plain && run.params().len() == 0 && !run.async_()
}

/// The verdict on a component that cannot be linked: every import must be one of the host's.
fn unlinked(error: &wasmtime::Error) -> Status {
    unknown_import(error).unwrap_or_else(|| invalid_module(format!("{error:#}")))
}
