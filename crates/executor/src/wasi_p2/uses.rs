//! Resources that an interface uses from another.
//!
//! A component whose description has been cut down to what it needs may import such a resource as
//! if it belonged to the interface that uses it. So each has it too.

use wasmtime::{
    Result,
    component::{Linker, Resource, ResourceType},
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, IoError, Network, TcpSocket, UdpSocket,
    bindings::{
        cli::{terminal_input::TerminalInput, terminal_output::TerminalOutput},
        filesystem::types::Descriptor,
        sync::io::{
            poll::HostPollable,
            streams::{HostInputStream, HostOutputStream},
        },
    },
};
use wasmtime_wasi_http::p2::bindings::http::types::{
    HostFutureIncomingResponse, HostOutgoingRequest, HostRequestOptions,
};
use wasmtime_wasi_io::bindings::wasi::io::error::HostError;

use crate::state::State;

/// The version of the interfaces that the bindings define.
pub(super) const VERSION: &str = "0.2.12";

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut uses = Uses(linker);
    for interface in ["clocks/monotonic-clock", "io/streams"] {
        uses.add(interface, "pollable", pollable)?;
    }
    uses.add("io/streams", "error", error)?;

    uses.add("cli/stdin", "input-stream", input)?;
    uses.add("cli/stdout", "output-stream", output)?;
    uses.add("cli/stderr", "output-stream", output)?;
    uses.add("cli/terminal-stdin", "terminal-input", removed::<TerminalInput>)?;
    uses.add("cli/terminal-stdout", "terminal-output", removed::<TerminalOutput>)?;
    uses.add("cli/terminal-stderr", "terminal-output", removed::<TerminalOutput>)?;

    uses.add("filesystem/types", "input-stream", input)?;
    uses.add("filesystem/types", "output-stream", output)?;
    uses.add("filesystem/types", "error", error)?;
    uses.add("filesystem/preopens", "descriptor", removed::<Descriptor>)?;

    uses.add("sockets/tcp", "input-stream", input)?;
    uses.add("sockets/tcp", "output-stream", output)?;
    for interface in ["ip-name-lookup", "tcp", "udp"] {
        uses.add(&format!("sockets/{interface}"), "pollable", pollable)?;
    }
    for interface in [
        "instance-network",
        "ip-name-lookup",
        "tcp",
        "tcp-create-socket",
        "udp",
        "udp-create-socket",
    ] {
        uses.add(&format!("sockets/{interface}"), "network", removed::<Network>)?;
    }
    uses.add("sockets/tcp-create-socket", "tcp-socket", removed::<TcpSocket>)?;
    uses.add("sockets/udp-create-socket", "udp-socket", removed::<UdpSocket>)?;

    uses.add("http/types", "input-stream", input)?;
    uses.add("http/types", "output-stream", output)?;
    uses.add("http/types", "pollable", pollable)?;
    uses.add("http/types", "io-error", error)?;
    let handler = "http/outgoing-handler";
    uses.add(handler, "outgoing-request", HostOutgoingRequest::drop)?;
    uses.add(handler, "request-options", HostRequestOptions::drop)?;
    uses.add(handler, "future-incoming-response", HostFutureIncomingResponse::drop)
}

struct Uses<'a>(&'a mut Linker<State>);

impl Uses<'_> {
    /// Gives an interface a resource that is dropped in this way.
    fn add<R: 'static>(
        &mut self,
        interface: &str,
        name: &str,
        drop: fn(&mut State, Resource<R>) -> Result<()>,
    ) -> Result<()> {
        self.0.instance(&format!("wasi:{interface}@{VERSION}"))?.resource(
            name,
            ResourceType::host::<R>(),
            move |mut store, owned| drop(store.data_mut(), Resource::new_own(owned)),
        )
    }
}

fn pollable(state: &mut State, owned: Resource<DynPollable>) -> Result<()> {
    HostPollable::drop(state, owned)
}

fn error(state: &mut State, owned: Resource<IoError>) -> Result<()> {
    HostError::drop(&mut state.resources, owned)
}

fn input(state: &mut State, owned: Resource<DynInputStream>) -> Result<()> {
    HostInputStream::drop(state, owned)
}

fn output(state: &mut State, owned: Resource<DynOutputStream>) -> Result<()> {
    HostOutputStream::drop(state, owned)
}

fn removed<R: 'static>(state: &mut State, owned: Resource<R>) -> Result<()> {
    Ok(state.remove(owned)?)
}
