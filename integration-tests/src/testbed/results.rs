//! Reads what the fixture dApp returns.

use anyhow::{Context, Result, bail};
use near_workspaces::result::ExecutionFinalResult;
use outlayer_protocol::Settlement;

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
