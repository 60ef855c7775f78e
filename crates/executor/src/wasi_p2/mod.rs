//! WASI preview 2: what the world `wasi:cli/imports` has, and `wasi:http`, with answers that are
//! the same everywhere.
//!
//! `wasmtime-wasi` (for [`http`] `wasmtime-wasi-http`) has the interfaces' types, their resources,
//! and what waits. The answers are the executor's wherever a guest could see the machine: [`State`]
//! implements the traits of `wasmtime-wasi`'s bindings. Clocks, randomness and streams are those of
//! preview 1: the virtual clock, the one random stream, input, output and log. There is no
//! directory and no terminal. Sockets are there, and answer that they are not permitted. So does
//! HTTP, but for requests that may reach something.
//!
//! Every function of a trait begins with [`enter`](outlayer_guest::HostCall::enter), and charges
//! for what it does before it does it. The functions that `wasmtime-wasi` answers by itself take a
//! descriptor or a socket, which no guest can have. Its synchronous functions would start threads
//! in order to wait; no function of it waits here, see [`poll`].

mod cli;
mod clocks;
mod filesystem;
mod http;
mod poll;
mod random;
mod resources;
mod sockets;
mod streams;
mod uses;

use wasmtime::{
    Result,
    component::{HasSelf, Linker},
};
use wasmtime_wasi::{
    filesystem::{WasiFilesystem, WasiFilesystemCtxView},
    p2::bindings::{self, clocks as clock, random as randomness, sync::io},
    sockets::{WasiSockets, WasiSocketsCtxView},
};
use wasmtime_wasi_io::bindings::wasi::io::error;

pub(crate) use self::{clocks::Timers, http::Unfinished};
use crate::state::State;

type Ours = HasSelf<State>;

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    error::add_to_linker::<_, HasSelf<_>>(linker, |state| &mut state.resources)?;
    io::poll::add_to_linker::<_, Ours>(linker, ours)?;
    poll::add_to_linker(linker, uses::VERSION)?;
    io::streams::add_to_linker::<_, Ours>(linker, ours)?;

    clock::monotonic_clock::add_to_linker::<_, Ours>(linker, ours)?;
    clock::wall_clock::add_to_linker::<_, Ours>(linker, ours)?;

    randomness::random::add_to_linker::<_, Ours>(linker, ours)?;
    randomness::insecure::add_to_linker::<_, Ours>(linker, ours)?;
    randomness::insecure_seed::add_to_linker::<_, Ours>(linker, ours)?;

    bindings::cli::environment::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::exit::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::stdin::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::stdout::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::stderr::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::terminal_input::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::terminal_output::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::terminal_stdin::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::terminal_stdout::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::cli::terminal_stderr::add_to_linker::<_, Ours>(linker, ours)?;

    bindings::filesystem::preopens::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, files)?;

    let options = bindings::sockets::network::LinkOptions::default();
    bindings::sockets::network::add_to_linker::<_, Ours>(linker, &options, ours)?;
    bindings::sockets::instance_network::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::sockets::ip_name_lookup::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::sockets::tcp::add_to_linker::<_, WasiSockets>(linker, network)?;
    bindings::sockets::tcp_create_socket::add_to_linker::<_, Ours>(linker, ours)?;
    bindings::sockets::udp::add_to_linker::<_, WasiSockets>(linker, network)?;
    bindings::sockets::udp_create_socket::add_to_linker::<_, Ours>(linker, ours)?;

    http::add_to_linker(linker, uses::VERSION)?;

    uses::add_to_linker(linker)
}

fn ours(state: &mut State) -> &mut State {
    state
}

fn files(state: &mut State) -> WasiFilesystemCtxView<'_> {
    WasiFilesystemCtxView { ctx: &mut state.filesystem, table: &mut state.resources }
}

fn network(state: &mut State) -> WasiSocketsCtxView<'_> {
    WasiSocketsCtxView { ctx: state.sockets.get_or_insert_default(), table: &mut state.resources }
}
