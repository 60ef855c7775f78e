//! How the resources of a component are kept.
//!
//! Several of the bindings' resource types are trait objects or cannot be made outside of
//! `wasmtime-wasi`. The table then has an entry of our own type at the index that the handle names.

use outlayer_guest::Stop;
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::{state::State, verdict::resource_stop};

impl State {
    /// Gives the guest `entry` as a resource that the bindings know as `R`.
    pub(super) fn push_as<R: 'static>(
        &mut self,
        entry: impl Send + 'static,
    ) -> Result<Resource<R>, Stop> {
        let pushed = self.resources.push(entry).map_err(|error| resource_stop(&error))?;
        Ok(Resource::new_own(pushed.rep()))
    }

    /// What [`push_as`](Self::push_as) has stored.
    pub(super) fn entry<E: Copy + 'static, R: 'static>(
        &self,
        resource: &Resource<R>,
    ) -> Result<E, Stop> {
        self.resources
            .get(&Resource::new_borrow(resource.rep()))
            .copied()
            .map_err(|error| resource_stop(&error))
    }

    /// What [`push_as`](Self::push_as) has stored, to be looked at.
    pub(super) fn kept<E: 'static, R: 'static>(&self, resource: &Resource<R>) -> Result<&E, Stop> {
        self.resources
            .get(&Resource::new_borrow(resource.rep()))
            .map_err(|error| resource_stop(&error))
    }

    /// The same, to be changed.
    pub(super) fn kept_mut<E: 'static, R: 'static>(
        &mut self,
        resource: &Resource<R>,
    ) -> Result<&mut E, Stop> {
        self.resources
            .get_mut(&Resource::new_borrow(resource.rep()))
            .map_err(|error| resource_stop(&error))
    }

    /// The same, when the guest gives it up.
    pub(super) fn take_entry<E: 'static, R: 'static>(
        &mut self,
        resource: Resource<R>,
    ) -> Result<E, Stop> {
        self.resources
            .delete(Resource::new_own(resource.rep()))
            .map_err(|error| resource_stop(&error))
    }

    /// Gives the guest `entry` as an `R`, which goes before `parent`, an entry of the type `E`.
    pub(super) fn push_child_as<E: 'static, R: 'static, P: 'static>(
        &mut self,
        entry: impl Send + 'static,
        parent: &Resource<P>,
    ) -> Result<Resource<R>, Stop> {
        let parent = Resource::<E>::new_borrow(parent.rep());
        let pushed = self.resources.push_child(entry, &parent);
        Ok(Resource::new_own(pushed.map_err(|error| resource_stop(&error))?.rep()))
    }

    /// Drops what [`push_as`](Self::push_as) has stored.
    pub(super) fn remove<E: 'static>(&mut self, entry: Resource<E>) -> Result<(), Stop> {
        self.resources.delete(entry).map(|_| ()).map_err(|error| resource_stop(&error))
    }

    /// Gives the guest a pollable of its own for `what`.
    pub(super) fn subscribe_to(&mut self, what: impl Pollable) -> Result<Resource<DynPollable>> {
        let what = self.resources.push(what)?;
        subscribe(&mut self.resources, what)
    }
}
