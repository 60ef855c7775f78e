//! What wasmtime's store keeps for one execution.

use std::sync::Arc;

use outlayer_guest::{Fault, Job, host::Host};
use outlayer_protocol::Meter;
use wasmtime::{Global, Memory, component::ResourceTable};
use wasmtime_wasi::{filesystem::WasiFilesystemCtx, sockets::WasiSocketsCtx};

use crate::{
    account::Account,
    charge::Purse,
    deadline::Deadline,
    mailbox::Mailbox,
    wasi_p2::{Timers, Unfinished},
};

/// The most entries of the table of resources. A stream or a network is one entry, and a pollable
/// is two, so a component holds at least 10,000 of them at once.
const MAX_RESOURCES: usize = 20_000;

/// The host, and what connects it to the guest in the store.
pub(crate) struct State {
    pub(crate) host: Host,
    /// The memory of a module, once it is instantiated.
    pub(crate) memory: Option<Memory>,
    pub(crate) counter: Counter,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) deadline: Arc<Deadline>,
    /// Whether the guest has ended, and the host makes an instance of its own, to read the counters
    /// of a component.
    pub(crate) reads_counters: bool,
    /// The streams, pollables and other resources that a component holds.
    pub(crate) resources: ResourceTable,
    /// What a component's pollables see of the clock, once it waits for the first time.
    pub(crate) timers: Option<Timers>,
    /// How many bytes of HTTP headers and bodies are kept for a component.
    pub(crate) http_bytes: u64,
    /// The requests that a component has handed over without finishing their bodies.
    pub(crate) unfinished: Unfinished,
    /// What a component may do with files: nothing.
    pub(crate) filesystem: WasiFilesystemCtx,
    /// What a component may do with sockets, once it asks for the first time: nothing.
    pub(crate) sockets: Option<WasiSocketsCtx>,
    /// What a composition has left, in a call of the host.
    pub(crate) purse: Purse,
    /// Fuel that pages have cost by which a composition's memory grew, and that has not been taken
    /// from the store yet. wasmtime does not let the store's fuel be touched where it asks for
    /// growth.
    pub(crate) owed: u64,
    /// Whether an execution was ended inside of compiled code. wasmtime then has not counted the
    /// last fuel of a composition.
    pub(crate) cut_short: bool,
}

/// What counts the guest's computation.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    /// The store's fuel.
    Store,
    /// A global of the instance, from which the module takes its fuel or gas. `None` until the
    /// module is instantiated.
    Module { meter: Meter, global: Option<Global> },
    /// The modules of a component together, in fuel, and host functions beside them.
    Component(Account),
}

impl State {
    pub(crate) fn new(
        job: &Job<'_>,
        mailbox: Arc<Mailbox>,
        deadline: Arc<Deadline>,
        counter: Counter,
    ) -> Result<Self, Fault> {
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(MAX_RESOURCES);
        Ok(Self {
            host: Host::new(job)?,
            memory: None,
            counter,
            mailbox,
            deadline,
            reads_counters: false,
            resources,
            timers: None,
            http_bytes: 0,
            unfinished: Unfinished::default(),
            filesystem: WasiFilesystemCtx::default(),
            sockets: None,
            purse: Purse::default(),
            owed: 0,
            cut_short: false,
        })
    }
}
