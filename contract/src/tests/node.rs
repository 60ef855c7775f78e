//! Yields as a node keeps them. near-sdk's mock forgets them at the end of each receipt.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use near_sdk::{Gas, GasWeight, PromiseIndex, env};
use outlayer_protocol::Hash32;

/// A yield that has not been delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Yield {
    pub(crate) arguments: Vec<u8>,
    pub(crate) gas: Gas,
    /// The payload of the first resume, if there was one.
    pub(crate) payload: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Yields {
    created: u64,
    pub(crate) open: BTreeMap<[u8; 32], Yield>,
}

thread_local! {
    pub(crate) static YIELDS: RefCell<Yields> = RefCell::default();
    /// Whether the node is broken, and names yields by 31 bytes.
    pub(crate) static SHORT_NAMES: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn yield_create(method: &str, arguments: &[u8], gas: Gas) -> (PromiseIndex, Vec<u8>) {
    let promise = env::promise_yield_create(method, arguments, gas, GasWeight(0), 0);
    assert_eq!(env::read_register(0).map(|id| id.len()), Some(32));
    YIELDS.with_borrow_mut(|yields| {
        yields.created += 1;
        let data_id = Hash32::of(&yields.created.to_le_bytes()).0;
        yields.open.insert(data_id, Yield { arguments: arguments.to_vec(), gas, payload: None });
        (promise, data_id[usize::from(SHORT_NAMES.get())..].to_vec())
    })
}

pub(crate) fn yield_resume(data_id: &[u8; 32], payload: &[u8]) -> bool {
    YIELDS.with_borrow_mut(|yields| match yields.open.get_mut(data_id) {
        Some(open) => {
            // The first payload wins, and every resume until the delivery returns true.
            open.payload.get_or_insert_with(|| payload.to_vec());
            true
        }
        None => false,
    })
}
