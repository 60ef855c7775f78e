//! wasmtime, set up to run guests: one backend for core modules under each meter, one for
//! components.

mod clock;
mod component;
mod core;
mod settings;

pub(crate) use self::{
    component::{CompiledComponent, ComponentBackend},
    core::{CompiledModule, CoreBackend},
};
