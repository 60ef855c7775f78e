//! `wasi:http`: requests that a guest sends, with the types of `wasmtime-wasi-http`.
//!
//! A request is sent at the earliest of three moments:
//!
//! * at `handle`, where it has no body, or its body is finished;
//! * at `outgoing-body.finish`;
//! * when the guest waits for the answer, in `poll` or `block`, and nothing else that it waits for
//!   is ready, or has a deadline before the exchange would end. What it has written is then the
//!   whole body: whatever comes after that is refused. Guests may finish a body late, after the
//!   answer, or never.
//!
//! Each of these calls waits for the exchange, outside of the guest. So a response is there when
//! the guest has waited for it, and its body is read from memory. `pollable.ready` waits for
//! nothing, and so sends nothing. The rules are those of [`outlayer_guest::outlayer::http`], as for
//! core modules.
//!
//! | file | what it has |
//! |---|---|
//! | `fields` | headers |
//! | `outgoing` | requests and their bodies |
//! | `unfinished` | requests that were handed over before their bodies were finished |
//! | `incoming` | responses, their bodies and trailers |
//! | `errors` | what a guest is told instead |
//!
//! A guest answers no requests, so the resources of servers are there only for components to link.

mod errors;
mod fields;
mod incoming;
mod outgoing;
mod unfinished;

use outlayer_guest::{HostCall, Stop, verdict::reason::TOO_MUCH_HTTP};
use wasmtime::{
    Result,
    component::{HasSelf, Linker, Resource},
};
use wasmtime_wasi_http::p2::{
    HeaderError, HttpError,
    bindings::http::types::{self, ErrorCode, IoError},
};

pub(super) use self::outgoing::send_unfinished;
pub(crate) use self::unfinished::Unfinished;
use crate::state::State;

/// The most bytes that the host keeps for a guest in headers and bodies that it makes.
const MOST_BYTES: u64 = 16 << 20;

/// Links the interfaces in the version that the bindings define.
pub(super) fn add_to_linker(linker: &mut Linker<State>, version: &str) -> Result<()> {
    let options = types::LinkOptions::default();
    types::add_to_linker::<_, HasSelf<State>>(linker, &options, super::ours)?;
    outgoing::add_to_linker(linker, version)
}

impl types::Host for State {
    fn convert_error_code(&mut self, error: HttpError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn convert_header_error(&mut self, error: HeaderError) -> Result<types::HeaderError> {
        error.downcast()
    }

    /// The streams of bodies do not fail.
    fn http_error_code(&mut self, _: Resource<IoError>) -> Result<Option<ErrorCode>> {
        self.enter()?;
        Ok(None)
    }
}

impl State {
    /// Notes that so many more bytes are kept for the guest.
    fn hold(&mut self, bytes: usize) -> Result<(), Stop> {
        self.http_bytes = self.http_bytes.saturating_add(bytes as u64);
        if self.http_bytes > MOST_BYTES { Err(Stop::Trap(TOO_MUCH_HTTP)) } else { Ok(()) }
    }

    /// Notes that so many bytes are not kept any more.
    fn release(&mut self, bytes: usize) {
        self.http_bytes = self.http_bytes.saturating_sub(bytes as u64);
    }
}
