//! WASI preview 2: the interfaces of `wasi:cli`, with answers that are the same everywhere.
//!
//! Clocks, randomness and streams are those of preview 1: the virtual clock, the one random stream, input, output and log. Polling
//! never waits: with nothing ready the clock moves to the earliest deadline. There is no directory and no terminal;
//! sockets and HTTP are not there at all, so a component that imports them is refused.

mod cli;
mod clocks;
mod filesystem;
mod poll;
mod random;
mod streams;

use wasmtime::{
    Result, StoreContextMut,
    component::{Linker, LinkerInstance, Resource, ResourceTable, ResourceTableError},
};

use crate::{
    fault::Fault,
    host::State,
    job::{Job, PROGRAM_NAME},
    verdict::{Stop, TOO_MANY_RESOURCES},
};

/// The version under which the interfaces are given. Others that are compatible with it, 0.2.x, are served too.
const VERSION: &str = "0.2.12";

/// A guest holds at most this many streams and pollables at once.
const MAX_RESOURCES: usize = 10_000;

type Store<'a> = StoreContextMut<'a, State>;

/// What preview 2 keeps for one execution.
pub(crate) struct World {
    table: ResourceTable,
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

impl World {
    /// For a job; preview 1 has its own copy of the texts.
    pub(crate) fn new(job: &Job<'_>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let own = std::iter::once(PROGRAM_NAME.to_owned());
        Self {
            table,
            args: own.chain(job.args.iter().cloned()).collect(),
            environment: job.context.env().into_iter().chain(job.env.iter().cloned()).collect(),
        }
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    cli::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)?;
    poll::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    streams::add_to_linker(linker)
}

/// The instance of an interface, `package/name` without `wasi:`.
fn interface<'a>(linker: &'a mut Linker<State>, name: &str) -> Result<LinkerInstance<'a, State>> {
    linker.instance(&format!("wasi:{name}@{VERSION}"))
}

/// Why a resource cannot be had. That a guest owns what it names the engine has checked.
fn handle(error: ResourceTableError) -> Stop {
    match error {
        ResourceTableError::Full => Stop::Trap(TOO_MANY_RESOURCES),
        error => Stop::Fault(Fault::Engine(error.to_string())),
    }
}

/// The resources, for as long as one call needs them.
fn table<'a>(store: &'a mut Store<'_>) -> &'a mut ResourceTable {
    &mut state(store).p2.table
}

fn state<'a>(store: &'a mut Store<'_>) -> &'a mut State {
    store.data_mut()
}

/// The destructor of a resource of this type.
fn destroy<T: Send + 'static>(mut store: Store<'_>, owned: u32) -> Result<()> {
    let resource = Resource::<T>::new_own(owned);
    table(&mut store).delete(resource).map_err(handle)?;
    Ok(())
}
