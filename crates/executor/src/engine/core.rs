//! Core WASI modules under one meter: the engine, its host functions, the compiled modules.

use std::{sync::OnceLock, thread, time::Duration};

use outlayer_protocol::{Meter, Status};
use wasmtime::{Engine, ExternType, InstancePre, Linker, Module};

use super::ExecutorConfig;
use crate::{
    cache::{self, Cache, Compiler},
    fault::{EngineError, Fault},
    gas,
    host::State,
    outlayer_abi,
    prepare::{self, Refusal},
    verdict::{invalid_module, unknown_import},
    wasi_p1,
};

/// How often a guest under the gas meter gives way to the host, which then looks at its deadline.
const TICK: Duration = Duration::from_millis(20);

/// Runs core WASI modules under one of the meters.
pub(crate) struct CoreEngine {
    pub(crate) engine: Engine,
    meter: Meter,
    linker: Linker<State>,
    modules: Cache<CompiledModule>,
    ticker: OnceLock<()>,
}

/// A `wasi-p1` module, ready to be instantiated.
#[derive(Clone)]
pub(crate) struct CompiledModule {
    pub(crate) pre: InstancePre<State>,
    /// The export to be run.
    pub(crate) entry: &'static str,
    /// The export under which there is a start function, to be run before.
    pub(crate) start: Option<&'static str>,
    /// Bytes of the source.
    pub(crate) bytes: u64,
}

impl CoreEngine {
    pub(super) fn new(
        config: &ExecutorConfig,
        meter: Meter,
        resources: &cache::CacheResources,
    ) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let engine = super::config::engine(config, meter)?;
        let mut linker = Linker::new(&engine);
        wasi_p1::add_to_linker(&mut linker).map_err(failed)?;
        outlayer_abi::add_to_linker(&mut linker).map_err(failed)?;
        if meter == Meter::Gas {
            gas::add_to_linker(&mut linker).map_err(failed)?;
        }
        let probe = cache::probe(|code| prepared(meter, code))?;
        let modules = Cache::new(resources, &meter.to_string(), &engine, &probe);
        Ok(Self { engine, meter, linker, modules, ticker: OnceLock::new() })
    }

    /// The compiled module of `code`.
    pub(crate) fn module(&self, code: &[u8]) -> Result<CompiledModule, Refusal> {
        self.modules.get(self, code)
    }

    /// Makes guests of this engine give way every [`TICK`], from now on. Under the fuel meter they do so by themselves.
    ///
    /// The thread that sees to it ends with the engine.
    pub(crate) fn tick(&self) -> Result<(), Fault> {
        if self.meter == Meter::Fuel || self.ticker.get().is_some() {
            return Ok(());
        }
        let engine = self.engine.weak();
        thread::Builder::new()
            .name("outlayer-ticker".to_owned())
            .spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    thread::sleep(TICK);
                }
            })
            .map_err(|error| Fault::Engine(error.to_string()))?;
        // A second thread, where two executions are the first at once, does no harm.
        let _ = self.ticker.set(());
        Ok(())
    }
}

impl Compiler for CoreEngine {
    type Artifact = Module;
    type Linked = CompiledModule;

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn compile(&self, code: &[u8]) -> Result<Module, Refusal> {
        let prepared = prepared(self.meter, code)?;
        Ok(Module::from_binary(&self.engine, &prepared)
            .map_err(|error| Fault::Engine(format!("{error:#}")))?)
    }

    fn link(&self, module: &Module, code_bytes: usize) -> Result<CompiledModule, Status> {
        let (entry, start) = match self.meter {
            Meter::Fuel => ("_start", prepare::stack::START_EXPORT),
            Meter::Gas => (gas::ENTRY, gas::START_EXPORT),
        };
        check_exports(module, entry)?;
        let start = module.get_export(start).map(|_| start);
        let pre = self.linker.instantiate_pre(module).map_err(|error| unlinked(&error))?;
        Ok(CompiledModule { pre, entry, start, bytes: code_bytes as u64 })
    }
}

/// What is compiled in the place of `code`.
fn prepared(meter: Meter, code: &[u8]) -> Result<Vec<u8>, Refusal> {
    match meter {
        Meter::Fuel => prepare::core_module(code),
        Meter::Gas => gas::prepare::core_module(code),
    }
}

/// Every import must be a function of the host, with its signature.
fn unlinked(error: &wasmtime::Error) -> Status {
    unknown_import(error).unwrap_or_else(|| invalid_module(error.to_string()))
}

/// A command exports its memory and `_start`, without parameters and results.
fn check_exports(module: &Module, entry: &str) -> Result<(), Status> {
    match module.get_export(entry) {
        Some(ExternType::Func(ty)) if ty.params().len() == 0 && ty.results().len() == 0 => {}
        Some(_) => {
            return Err(invalid_module(
                "the export _start must be a function without parameters and results",
            ));
        }
        None => return Err(invalid_module("there is no export _start")),
    }
    match module.get_export("memory") {
        Some(ExternType::Memory(_)) => Ok(()),
        Some(_) => Err(invalid_module("the export memory must be a memory")),
        None => Err(invalid_module("there is no export memory")),
    }
}
