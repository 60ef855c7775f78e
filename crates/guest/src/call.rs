//! How a host function reaches the guest that called it.
//!
//! An engine implements these traits for what it hands to host functions. The rules are generic
//! over them, so a call costs no more than if it were written for that engine.

use outlayer_protocol::http::HttpRequest;

use crate::{fetch::Fetched, host::Host, stop::Stop, work::Work};

/// A call of a host function.
pub trait HostCall {
    /// What the host keeps for this execution.
    fn host(&mut self) -> &mut Host;

    /// Takes what `work` costs from what the guest has left.
    ///
    /// # Errors
    /// [`Stop::OutOfCompute`] when it is not enough; everything is used up then.
    fn charge(&mut self, work: Work) -> Result<(), Stop>;

    /// Opens the call: counts it against the request's limit and charges for it. Every host
    /// function begins with this.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the guest may make no more calls, or as [`charge`](Self::charge).
    fn enter(&mut self) -> Result<(), Stop> {
        self.host().count_call()?;
        self.charge(Work::Call)
    }
}

/// A call by a module, which passes and receives everything through its memory.
pub trait MemoryCall: HostCall {
    /// The guest's memory, and the host beside it.
    ///
    /// # Errors
    /// A trap when the guest has no memory.
    fn memory(&mut self) -> Result<(&mut [u8], &mut Host), Stop>;
}

/// A call that may have to wait for a value of the snapshot.
pub trait StorageCall: HostCall {
    /// Asks the snapshot for the value of `key`; `None` when the key is absent.
    ///
    /// # Errors
    /// [`Stop::Fault`] when the value cannot be had.
    fn fetch(&mut self, key: &[u8]) -> impl Future<Output = Result<Option<Vec<u8>>, Stop>> + Send;
}

/// A call that may have to wait for an exchange over HTTP.
pub trait FetchCall: HostCall {
    /// Makes the exchange with this number. An answer from the network has been through the guest's
    /// transform, if it has one.
    ///
    /// # Errors
    /// [`Stop::Fault`] when nothing can be said about the exchange.
    fn exchange(
        &mut self,
        number: u32,
        request: HttpRequest,
    ) -> impl Future<Output = Result<Fetched, Stop>> + Send;
}
