//! What the contract logged about a request in the requester's transaction.

use outlayer_client::{Contract, CryptoHash, trace::ReceiptTrace};
use outlayer_protocol::{
    RequestId,
    events::{Event, ExecutionCompleted, ExecutionRequested},
};

use crate::{error::FetchError, question::Question};

/// How a request ended, as far as the transaction has been executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an execution. The callback that settled it ran in the block of this hash.
    Completed(Box<ExecutionCompleted>, CryptoHash),
    TimedOut,
    Cancelled,
    /// It has not ended.
    Open,
}

/// A request and its ending, from the contract's own receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) requested: ExecutionRequested,
    pub(crate) ending: Ending,
}

impl Logged {
    /// Finds the request that `question` asks about among the receipts of its transaction.
    pub(crate) fn find(
        contract: &Contract,
        question: &Question,
        receipts: Vec<ReceiptTrace>,
    ) -> Result<Self, FetchError> {
        // Any contract can log the same words, so an event counts only in a receipt that the
        // contract itself executed.
        let own = receipts.into_iter().filter(|receipt| receipt.executor_id == *contract.id());
        let events: Vec<(CryptoHash, Event)> = own
            .flat_map(|receipt| {
                receipt.events().map(|event| (receipt.block, event)).collect::<Vec<_>>()
            })
            .collect();
        let mut requested: Vec<ExecutionRequested> = Vec::new();
        for (_, event) in &events {
            if let Event::ExecutionRequested(event) = event {
                requested.push((**event).clone());
            }
        }
        let found: Vec<RequestId> = requested.iter().map(|event| event.request_id).collect();
        let wanted = match (question.request_id, found.as_slice()) {
            (Some(id), _) => id,
            (None, [only]) => *only,
            (None, [_, _, ..]) => return Err(FetchError::Several { found }),
            (None, []) => return Err(no_request(contract, question, found)),
        };
        requested.retain(|event| event.request_id == wanted);
        let Some(requested) = requested.pop() else {
            return Err(no_request(contract, question, found));
        };
        let ending = events
            .into_iter()
            .find_map(|(block, event)| ending(block, event, wanted))
            .unwrap_or(Ending::Open);
        Ok(Self { requested, ending })
    }
}

fn no_request(contract: &Contract, question: &Question, found: Vec<RequestId>) -> FetchError {
    FetchError::NoRequest {
        transaction: question.transaction,
        contract: contract.id().clone(),
        found,
    }
}

fn ending(block: CryptoHash, event: Event, request_id: RequestId) -> Option<Ending> {
    match event {
        Event::ExecutionCompleted(event) if event.request_id == request_id => {
            Some(Ending::Completed(Box::new(event), block))
        }
        Event::ExecutionTimedOut(event) if event.request_id == request_id => Some(Ending::TimedOut),
        Event::ExecutionCancelled(event) if event.request_id == request_id => {
            Some(Ending::Cancelled)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
