//! What an instrumented module calls when its gas or its stack ends.

use outlayer_guest::Stop;
use wasmtime::{Caller, Linker, Result};

use crate::{charge::exhaust_module, state::State};

/// The import module of the instrumentation. `prepare` rejects guests that import from it.
const MODULE: &str = "internal";

/// Adds the three functions that NEAR's instrumentation imports.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    // The module ends itself where its counter is below zero, so nobody calls this.
    linker.func_wrap(
        MODULE,
        "finite_wasm_gas",
        |mut caller: Caller<'_, State>, _: u64| -> Result<()> {
            Err(exhaust_module(&mut caller).into())
        },
    )?;
    // The charge exceeded 64 bits.
    linker.func_wrap(
        MODULE,
        "finite_wasm_gas_exhausted",
        |mut caller: Caller<'_, State>| -> Result<()> { Err(exhaust_module(&mut caller).into()) },
    )?;
    linker.func_wrap(
        MODULE,
        "finite_wasm_stack_exhausted",
        |_: Caller<'_, State>| -> Result<()> { Err(Stop::StackOverflow.into()) },
    )?;
    Ok(())
}
