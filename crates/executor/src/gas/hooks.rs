//! What an instrumented module calls when its gas or its stack ends.

use std::{future::poll_fn, task::Poll};

use outlayer_guest::Stop;
use wasmtime::{Caller, Linker, Result};

use crate::{
    charge::{exhaust_gas, refill_gas},
    state::State,
};

/// The import module of the instrumentation. `prepare` rejects guests that import from it.
const MODULE: &str = "internal";

/// Adds the three functions that NEAR's instrumentation imports.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    // The counter is below zero. The guest goes on if its limit is not used up.
    linker.func_wrap_async(
        MODULE,
        "finite_wasm_gas",
        |mut caller: Caller<'_, State>, (_,): (u64,)| {
            Box::new(async move {
                refill_gas(&mut caller)?;
                give_way().await;
                Ok(())
            })
        },
    )?;
    // The charge exceeded 64 bits.
    linker.func_wrap(
        MODULE,
        "finite_wasm_gas_exhausted",
        |mut caller: Caller<'_, State>| -> Result<()> { Err(exhaust_gas(&mut caller).into()) },
    )?;
    linker.func_wrap(
        MODULE,
        "finite_wasm_stack_exhausted",
        |_: Caller<'_, State>| -> Result<()> { Err(Stop::StackOverflow.into()) },
    )?;
    Ok(())
}

/// Lets the loop that drives the guest look at its deadline.
async fn give_way() {
    let mut gave_way = false;
    poll_fn(
        |_| {
            if std::mem::replace(&mut gave_way, true) { Poll::Ready(()) } else { Poll::Pending }
        },
    )
    .await;
}
