//! What the interfaces share: how they are named, and how their resources are kept.

use outlayer_guest::{Fault, Stop, verdict::reason::TOO_MANY_RESOURCES};
use wasmtime::{
    Result, StoreContextMut,
    component::{Linker, LinkerInstance, Resource, ResourceTableError},
};

use crate::{call::ComponentCall, state::State};

/// The version under which the interfaces are given. Others that are compatible with it, 0.2.x, are
/// served too.
const VERSION: &str = "0.2.12";

/// What wasmtime hands to a host function.
pub(super) type Store<'a> = StoreContextMut<'a, State>;

/// The instance of an interface. `name` is `package/name`, without `wasi:`.
pub(super) fn interface<'a>(
    linker: &'a mut Linker<State>,
    name: &str,
) -> Result<LinkerInstance<'a, State>> {
    linker.instance(&format!("wasi:{name}@{VERSION}"))
}

impl ComponentCall<'_> {
    /// Gives the guest a new resource.
    pub(super) fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>, Stop> {
        self.0.data_mut().resources.push(value).map_err(failed)
    }

    /// A resource of the guest's.
    pub(super) fn get<T: Copy + 'static>(&mut self, resource: &Resource<T>) -> Result<T, Stop> {
        self.0.data_mut().resources.get(resource).copied().map_err(failed)
    }
}

/// The destructor of resources of this type.
pub(super) fn destroy<T: Send + 'static>(mut store: Store<'_>, owned: u32) -> Result<()> {
    let resource = Resource::<T>::new_own(owned);
    store.data_mut().resources.delete(resource).map_err(failed)?;
    Ok(())
}

/// Why a resource cannot be had. wasmtime has checked that the guest owns what it names.
fn failed(error: ResourceTableError) -> Stop {
    match error {
        ResourceTableError::Full => Stop::Trap(TOO_MANY_RESOURCES),
        error => Fault::engine(error).into(),
    }
}
