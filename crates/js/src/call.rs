//! A call of the guest, in the form in which the rules of `outlayer-guest` take it.

use std::future::ready;

use outlayer_guest::{
    Fault, FetchCall, FetchError, Fetched, HostCall, MemoryCall, Stop, StorageCall, Work, fuel,
    host::Host,
};
use outlayer_protocol::http::HttpRequest;

use crate::running::Running;

/// A call by a guest that counts its fuel.
pub(crate) struct Call<'a>(pub(crate) &'a mut Running);

impl HostCall for Call<'_> {
    fn host(&mut self) -> &mut Host {
        &mut self.0.host
    }

    fn charge(&mut self, work: Work) -> Result<(), Stop> {
        let left = i128::from(self.0.fuel) - i128::from(fuel::cost(work));
        match i64::try_from(left) {
            Ok(left @ 0..) => {
                self.0.fuel = left;
                Ok(())
            }
            _ => {
                self.0.fuel = -1;
                Err(Stop::OutOfCompute)
            }
        }
    }
}

impl MemoryCall for Call<'_> {
    fn memory(&mut self) -> Result<(&mut [u8], &mut Host), Stop> {
        let Running { memory, host, .. } = &mut *self.0;
        Ok((memory, host))
    }
}

impl StorageCall for Call<'_> {
    fn fetch(&mut self, key: &[u8]) -> impl Future<Output = Result<Option<Vec<u8>>, Stop>> + Send {
        ready(Ok(self.0.storage.get(key).cloned()))
    }
}

/// There is no network.
impl FetchCall for Call<'_> {
    fn exchange(
        &mut self,
        _number: u32,
        _request: HttpRequest,
    ) -> impl Future<Output = Result<Fetched, Stop>> + Send {
        ready(Err(Fault::Fetch(FetchError::None).into()))
    }
}
