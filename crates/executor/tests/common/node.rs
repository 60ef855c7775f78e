//! The same bytes on near-vm-runner, as a node would run them.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

use std::sync::LazyLock;

use near_vm_runner::logic::VMOutcome;
use outlayer_calibrate::node::Node;

pub(crate) use outlayer_calibrate::node::{config, context};

/// Calls `method` of `code` with this much gas.
pub(crate) fn call(code: &[u8], method: &str, input: &[u8], gas: u64) -> VMOutcome {
    static NODE: LazyLock<Node> = LazyLock::new(|| Node::new().unwrap());
    NODE.call(code, method, input, gas).unwrap()
}
