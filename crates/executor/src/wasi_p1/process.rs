//! The end of the process, signals, scheduling, randomness.

use wasmtime::{Caller, Linker, Result};

use super::{
    MODULE,
    errno::{Errno, NOTSUP, SUCCESS},
};
use crate::{
    host::{State, Work, charge, enter, memory},
    verdict::Stop,
};

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "proc_exit", proc_exit)?;
    linker.func_wrap(MODULE, "proc_raise", proc_raise)?;
    linker.func_wrap(MODULE, "sched_yield", sched_yield)?;
    linker.func_wrap(MODULE, "random_get", random_get)?;
    Ok(())
}

fn proc_exit(mut caller: Caller<'_, State>, code: u32) -> Result<()> {
    enter(&mut caller)?;
    Err(Stop::Exit(code).into())
}

/// There are no signals.
fn proc_raise(mut caller: Caller<'_, State>, _signal: u32) -> Result<Errno> {
    enter(&mut caller)?;
    Ok(NOTSUP)
}

fn sched_yield(mut caller: Caller<'_, State>) -> Result<Errno> {
    enter(&mut caller)?;
    Ok(SUCCESS)
}

fn random_get(mut caller: Caller<'_, State>, buffer: u32, length: u32) -> Result<Errno> {
    enter(&mut caller)?;
    charge(&mut caller, Work::Random(length.into()))?;
    let (memory, state) = memory::split(&mut caller)?;
    state.random.fill(memory::bytes_mut(memory, buffer, length)?);
    Ok(SUCCESS)
}
