//! What the requester's transaction shows.

use outlayer_protocol::{
    RequestId,
    events::{Event, ExecutionCompleted, ExecutionRequested},
};

use super::{Question, ReplayError};
use crate::chain::{
    Contract, CryptoHash,
    trace::{self, ReceiptTrace},
};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With an execution, settled in this block.
    Completed(Box<ExecutionCompleted>, CryptoHash),
    TimedOut,
    Cancelled,
    /// Not yet.
    Open,
}

/// A request and its ending, from the contract's own receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) requested: ExecutionRequested,
    pub(super) ending: Ending,
}

impl Evidence {
    pub(super) async fn collect(
        contract: &Contract,
        question: &Question,
    ) -> Result<Self, ReplayError> {
        let receipts =
            trace::transaction(contract.node(), question.transaction, &question.signer_id).await?;
        Self::find(contract, question, receipts)
    }

    /// Events count only in receipts that the contract itself executed: anyone can log the same words.
    fn find(
        contract: &Contract,
        question: &Question,
        receipts: Vec<ReceiptTrace>,
    ) -> Result<Self, ReplayError> {
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
            (Some(id), _) if found.contains(&id) => id,
            (None, [only]) => *only,
            (None, [_, _, ..]) => return Err(ReplayError::Several { found }),
            (Some(_), _) | (None, []) => {
                let (transaction, contract) = (question.transaction, contract.id().clone());
                return Err(ReplayError::NoRequest { transaction, contract, found });
            }
        };
        requested.retain(|event| event.request_id == wanted);
        let no_request = ReplayError::NoRequest {
            transaction: question.transaction,
            contract: contract.id().clone(),
            found,
        };
        let requested = requested.pop().ok_or(no_request)?;
        let ending = events
            .into_iter()
            .find_map(|(block, event)| ending(block, event, wanted))
            .unwrap_or(Ending::Open);
        Ok(Self { requested, ending })
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
