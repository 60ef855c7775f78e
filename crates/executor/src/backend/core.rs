//! Core WASI modules under one meter: wasmtime's engine, the host functions, the compiled modules.

use outlayer_guest::{
    Code, Fault,
    prepare::{self, meter::START_EXPORT},
    verdict::{invalid_module, no_memory, no_start},
};
use outlayer_protocol::{Meter, Status};
use wasmtime::{Engine, ExternType, InstancePre, Linker, Module};

use super::settings::{self, Guests};
use crate::{
    cache::{self, Cache, Compiler},
    config::ExecutorConfig,
    error::{EngineError, Rejection},
    gas, outlayer,
    state::State,
    transform::Exports,
    verdict::{not_compiled, unknown_import},
    wasi_p1,
};

/// Runs core WASI modules under one of the meters.
pub(crate) struct CoreBackend {
    pub(crate) engine: Engine,
    meter: Meter,
    linker: Linker<State>,
    modules: Cache<CompiledModule>,
}

/// A `wasi-p1` module, ready to be instantiated.
#[derive(Clone)]
pub(crate) struct CompiledModule {
    pub(crate) pre: InstancePre<State>,
    /// The export to be run.
    pub(crate) entry: &'static str,
    /// The export of the start function, to be run before `entry`, if the module has one.
    pub(crate) start: Option<&'static str>,
    /// The exports of its transform, if it has one.
    pub(crate) transform: Option<Exports>,
    /// How many bytes the code has.
    pub(crate) bytes: u64,
}

impl CoreBackend {
    pub(crate) fn new(
        config: &ExecutorConfig,
        meter: Meter,
        resources: &cache::CacheResources,
    ) -> Result<Self, EngineError> {
        let engine = settings::engine(config, Guests::Modules(meter))?;
        let mut linker = Linker::new(&engine);
        wasi_p1::add_to_linker(&mut linker).map_err(EngineError::new)?;
        outlayer::module::add_to_linker(&mut linker).map_err(EngineError::new)?;
        if meter == Meter::Gas {
            gas::add_to_linker(&mut linker).map_err(EngineError::new)?;
        }
        let probe = cache::probe(|code| prepared(meter, code))?;
        let modules = Cache::new(resources, &meter.to_string(), &engine, &probe);
        Ok(Self { engine, meter, linker, modules })
    }

    /// The module of `code`, compiled to count what each of its functions pays, with their names.
    pub(crate) fn profiled(&self, code: &[u8]) -> Result<(CompiledModule, Vec<String>), Rejection> {
        prepare::check(code)?;
        self.check_outline(code)?;
        let profiled = prepare::meter::profiled(code)?;
        let module = self.compile(&profiled.module)?;
        Ok((self.link(&module, code.len())?, profiled.functions))
    }

    /// Checks what a guest imports and exports, before anything expensive.
    fn check_outline(&self, code: &[u8]) -> Result<(), Status> {
        let outline = prepare::outline::module(code)?;
        // An outline that does not compile says nothing. The module itself has the last word.
        if let Ok(outline) = Module::from_binary(&self.engine, &outline) {
            check_exports(&outline, "_start")?;
            self.linker.instantiate_pre(&outline).map_err(|error| unlinked(&error))?;
        }
        Ok(())
    }

    /// The compiled module of `code`.
    pub(crate) fn module(&self, code: Code<'_>) -> Result<CompiledModule, Rejection> {
        self.modules.get(self, code)
    }
}

impl Compiler for CoreBackend {
    type Artifact = Module;
    type Linked = CompiledModule;

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn prepare(&self, code: &[u8]) -> Result<Vec<u8>, Rejection> {
        let prepared = prepared(self.meter, code)?;
        self.check_outline(code)?;
        Ok(prepared)
    }

    fn compile(&self, prepared: &[u8]) -> Result<Module, Rejection> {
        Module::from_binary(&self.engine, prepared).map_err(|error| match not_compiled(&error) {
            Some(status) => status.into(),
            None => Fault::engine(error).into(),
        })
    }

    fn link(&self, module: &Module, code_bytes: usize) -> Result<CompiledModule, Status> {
        let (entry, start) = match self.meter {
            Meter::Fuel => ("_start", START_EXPORT),
            Meter::Gas => (gas::ENTRY, gas::START_EXPORT),
        };
        check_exports(module, entry)?;
        let start = module.get_export(start).map(|_| start);
        let pre = self.linker.instantiate_pre(module).map_err(|error| unlinked(&error))?;
        let exports = Exports::under(self.meter);
        let transform = Some(exports).filter(|exports| exports.are_of(module));
        Ok(CompiledModule { pre, entry, start, transform, bytes: code_bytes as u64 })
    }
}

/// What is compiled in place of `code`.
fn prepared(meter: Meter, code: &[u8]) -> Result<Vec<u8>, Rejection> {
    match meter {
        Meter::Fuel => Ok(prepare::core_module(code)?),
        Meter::Gas => gas::prepare::core_module(code, gas::Counts::ALL),
    }
}

/// The verdict on a module that cannot be linked: every import must be a function of the host, with
/// its signature.
fn unlinked(error: &wasmtime::Error) -> Status {
    unknown_import(error).unwrap_or_else(|| invalid_module(error.to_string()))
}

/// Checks that a command exports its memory and `_start`, which has no parameters and results.
fn check_exports(module: &Module, entry: &str) -> Result<(), Status> {
    match module.get_export(entry) {
        Some(ExternType::Func(ty)) if ty.params().len() == 0 && ty.results().len() == 0 => {}
        Some(_) => {
            return Err(invalid_module(
                "the export _start must be a function without parameters and results",
            ));
        }
        None => return Err(no_start()),
    }
    match module.get_export("memory") {
        Some(ExternType::Memory(_)) => Ok(()),
        Some(_) => Err(invalid_module("the export memory must be a memory")),
        None => Err(no_memory()),
    }
}
