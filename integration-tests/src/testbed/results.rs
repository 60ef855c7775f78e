//! Reads the results of transactions.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use near_workspaces::result::{ExecutionFinalResult, ExecutionResult};
use outlayer_protocol::{Settlement, events::Event};

/// The settlement in the final result of the fixture dApp's `ask`.
///
/// # Errors
/// When the transaction failed, or the callback received no settlement.
pub fn settlement(result: ExecutionFinalResult) -> Result<Settlement> {
    let answer: serde_json::Value =
        result.into_result().context("the dApp's transaction")?.json()?;
    if let Some(error) = answer.get("error") {
        bail!("the dApp's callback received no settlement: {error}");
    }
    serde_json::from_value(answer["settlement"].clone())
        .with_context(|| format!("no settlement in {answer}"))
}

/// Whether every receipt that an outcome names has an outcome of its own.
pub(super) fn is_complete(result: &ExecutionFinalResult) -> bool {
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
