//! Requests that were handed over before their bodies were finished.

use std::collections::BTreeMap;

use outlayer_protocol::http::HttpRequest;

use super::{incoming::Promise, outgoing::Draft};
use crate::wasi_p2::clocks::Timers;

/// Those of one execution, by the order in which they were handed over.
#[derive(Default)]
pub(crate) struct Unfinished {
    handed_over: u64,
    open: BTreeMap<u64, Draft>,
}

/// A request that waits for its body, and who waits for its answer.
pub(super) struct HandedOver {
    /// Its place in the order.
    pub(super) number: u64,
    /// Without its body.
    pub(super) request: HttpRequest,
    pub(super) promise: Promise,
}

impl Unfinished {
    /// Keeps a request that is handed over, whose body is `draft`.
    pub(super) fn add(&mut self, request: HttpRequest, draft: &Draft, timers: Timers) -> Promise {
        let number = self.handed_over;
        self.handed_over = number.saturating_add(1);
        let promise = Promise::unfinished(number, timers);
        draft.hand_over(HandedOver { number, request, promise: promise.clone() });
        self.open.insert(number, draft.clone());
        promise
    }

    /// Gives up the body of the request with this number.
    pub(super) fn take(&mut self, number: u64) -> Option<Draft> {
        self.open.remove(&number)
    }
}
