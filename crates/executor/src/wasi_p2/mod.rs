//! WASI preview 2: the interfaces of `wasi:cli`, with answers that are the same everywhere.
//!
//! Clocks, randomness and streams are those of preview 1: the virtual clock, the one random stream,
//! input, output and log. Polling never waits: when nothing is ready, the clock moves to the
//! earliest deadline. There is no directory and no terminal. Sockets and HTTP do not exist at all,
//! so a component that imports them is rejected.

mod cli;
mod clocks;
mod filesystem;
mod poll;
mod random;
mod resources;
mod streams;

use wasmtime::{Result, component::Linker};

use crate::state::State;

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    cli::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)?;
    poll::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    streams::add_to_linker(linker)
}
