//! A call of a host function, in the form in which the rules of `outlayer-guest` take it.

use std::sync::Arc;

use outlayer_guest::{
    FetchCall, Fetched, HostCall, MemoryCall, Stop, StorageCall, Work, host::Host,
    verdict::reason::MEMORY_OUT_OF_BOUNDS,
};
use outlayer_protocol::http::HttpRequest;
use wasmtime::{Caller, Extern, StoreContextMut};

use crate::{charge::charge, state::State};

/// A call by a core module.
pub(crate) struct ModuleCall<'a>(pub(crate) Caller<'a, State>);

impl HostCall for ModuleCall<'_> {
    fn host(&mut self) -> &mut Host {
        &mut self.0.data_mut().host
    }

    fn charge(&mut self, work: Work) -> Result<(), Stop> {
        charge(&mut self.0, work)
    }
}

impl MemoryCall for ModuleCall<'_> {
    fn memory(&mut self) -> Result<(&mut [u8], &mut Host), Stop> {
        // While a start function runs, the state does not have the memory yet.
        let memory = match self.0.data().memory {
            Some(memory) => memory,
            None => self
                .0
                .get_export("memory")
                .and_then(Extern::into_memory)
                .ok_or(Stop::Trap(MEMORY_OUT_OF_BOUNDS))?,
        };
        let (bytes, state) = memory.data_and_store_mut(&mut self.0);
        Ok((bytes, &mut state.host))
    }
}

impl StorageCall for ModuleCall<'_> {
    fn fetch(&mut self, key: &[u8]) -> impl Future<Output = Result<Option<Vec<u8>>, Stop>> + Send {
        ask(self.0.data(), key)
    }
}

impl FetchCall for ModuleCall<'_> {
    fn exchange(
        &mut self,
        number: u32,
        request: HttpRequest,
    ) -> impl Future<Output = Result<Fetched, Stop>> + Send {
        exchange(self.0.data(), number, request)
    }
}

/// A call by a component.
pub(crate) struct ComponentCall<'a>(pub(crate) StoreContextMut<'a, State>);

impl HostCall for ComponentCall<'_> {
    fn host(&mut self) -> &mut Host {
        &mut self.0.data_mut().host
    }

    fn charge(&mut self, work: Work) -> Result<(), Stop> {
        charge(&mut self.0, work)
    }
}

impl StorageCall for ComponentCall<'_> {
    fn fetch(&mut self, key: &[u8]) -> impl Future<Output = Result<Option<Vec<u8>>, Stop>> + Send {
        ask(self.0.data(), key)
    }
}

impl FetchCall for ComponentCall<'_> {
    fn exchange(
        &mut self,
        number: u32,
        request: HttpRequest,
    ) -> impl Future<Output = Result<Fetched, Stop>> + Send {
        exchange(self.0.data(), number, request)
    }
}

/// Asks the snapshot. When the snapshot fails, the execution ends outside of the guest.
fn ask(
    state: &State,
    key: &[u8],
) -> impl Future<Output = Result<Option<Vec<u8>>, Stop>> + Send + use<> {
    let (mailbox, key) = (Arc::clone(&state.mailbox), key.to_vec());
    async move { mailbox.value(key).await }
}

/// Asks the network. When it fails, the execution ends outside of the guest.
fn exchange(
    state: &State,
    number: u32,
    request: HttpRequest,
) -> impl Future<Output = Result<Fetched, Stop>> + Send + use<> {
    let mailbox = Arc::clone(&state.mailbox);
    async move { mailbox.exchange(number, request).await }
}

/// Links functions of an import module of core modules. Each has its signature in WebAssembly, and
/// is answered by the function of the same name in `$rules`, which takes the arguments after the
/// arrow.
macro_rules! functions {
    ($linker:ident, $rules:ident:
        $($name:ident($($parameter:tt: $ty:ty),*) -> $result:ty => ($($argument:ident),*);)*
    ) => {$(
        $linker.func_wrap(
            $rules::MODULE,
            stringify!($name),
            |caller: wasmtime::Caller<'_, $crate::state::State>,
             $($parameter: $ty),*|
             -> wasmtime::Result<_> {
                let mut call = $crate::call::ModuleCall(caller);
                Ok($rules::$name(&mut call, $($argument),*)?)
            },
        )?;
    )*};
}

pub(crate) use functions;
