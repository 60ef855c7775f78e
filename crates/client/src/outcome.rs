//! What came of a transaction.

use near_jsonrpc_client::methods::send_tx::RpcTransactionResponse;
use near_primitives::{
    errors::{ActionErrorKind, FunctionCallError, TxExecutionError},
    hash::CryptoHash,
    views::{FinalExecutionOutcomeView, FinalExecutionStatus, TxExecutionStatus},
};

use crate::text::clip;

/// A call that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    /// Hash of the transaction that made the call.
    pub transaction: CryptoHash,
    /// Hash of the block that has the transaction. A reorg may replace it.
    pub block_hash: CryptoHash,
    /// What the method returned, or why it failed: the panic message when the contract panicked.
    pub result: Result<Vec<u8>, String>,
    /// Gas burned by the transaction and all of its receipts.
    pub gas_burnt: u64,
}

/// The outcome in a node's answer, or `None` when the transaction has not been executed yet.
pub(crate) fn executed(response: RpcTransactionResponse) -> Option<CallOutcome> {
    use TxExecutionStatus::{
        Executed, ExecutedOptimistic, Final, Included, IncludedFinal, None as NotIncluded,
    };
    match response.final_execution_status {
        ExecutedOptimistic | Executed | Final => {}
        NotIncluded | Included | IncludedFinal => return None,
    }
    outcome(&response.final_execution_outcome?.into_outcome())
}

fn outcome(view: &FinalExecutionOutcomeView) -> Option<CallOutcome> {
    let result = match &view.status {
        FinalExecutionStatus::SuccessValue(value) => Ok(value.clone()),
        FinalExecutionStatus::Failure(error) => Err(failure(error)),
        FinalExecutionStatus::NotStarted | FinalExecutionStatus::Started => return None,
    };
    let outcomes = view.receipts_outcome.iter().chain([&view.transaction_outcome]);
    let gas_burnt =
        outcomes.fold(0u64, |sum, one| sum.saturating_add(one.outcome.gas_burnt.as_gas()));
    let (transaction, block_hash) = (view.transaction.hash, view.transaction_outcome.block_hash);
    Some(CallOutcome { transaction, block_hash, result, gas_burnt })
}

/// Why a transaction failed: the panic message when a contract panicked.
pub(crate) fn failure(error: &TxExecutionError) -> String {
    if let TxExecutionError::ActionError(action) = error
        && let ActionErrorKind::FunctionCallError(FunctionCallError::ExecutionError(message)) =
            &action.kind
    {
        return clip(message);
    }
    clip(&error.to_string())
}
