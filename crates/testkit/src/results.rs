//! Reads the results of transactions.

use std::collections::HashSet;

use near_workspaces::result::{ExecutionFinalResult, ExecutionResult};
use outlayer_protocol::events::Event;

/// Whether every receipt that an outcome names has an outcome of its own.
pub(crate) fn is_complete(result: &ExecutionFinalResult) -> bool {
    let outcomes = result.outcomes();
    let executed: HashSet<_> = outcomes.iter().map(|outcome| outcome.transaction_hash).collect();
    outcomes.iter().flat_map(|outcome| &outcome.receipt_ids).all(|id| executed.contains(id))
}

/// The contract's events among the logs of a result.
pub fn events(result: &ExecutionFinalResult) -> Vec<Event> {
    result.logs().into_iter().filter_map(Event::from_log).collect()
}

/// The tokens that a transaction and all of its receipts burned, yoctoNEAR.
pub fn burnt<T>(result: &ExecutionResult<T>) -> u128 {
    result.outcomes().iter().map(|outcome| outcome.tokens_burnt.as_yoctonear()).sum()
}
