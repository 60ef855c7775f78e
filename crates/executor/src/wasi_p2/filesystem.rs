//! `wasi:filesystem`: no directory is open.
//!
//! A descriptor can only come from a preopened directory, of which there are none. So the functions
//! of `wasi:filesystem/types`, which `wasmtime-wasi` has, are there only for components to link.
//! Languages answer a call that names a path with an error of their own, because no directory
//! contains it.

use outlayer_guest::HostCall;
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{filesystem::Descriptor, p2::bindings::filesystem::preopens};

use crate::state::State;

impl preopens::Host for State {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        self.enter()?;
        Ok(Vec::new())
    }
}
