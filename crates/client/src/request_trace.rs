//! What a transaction shows of the requests that it made.

use near_primitives::hash::CryptoHash;
use outlayer_protocol::{
    AccountId, NearToken, RequestId, Settlement,
    events::{Event, ExecutionCompleted, ExecutionRequested, RefundBounced},
};

use crate::trace::{ReceiptTrace, TransactionTrace};

/// A request, as the receipts of the transaction that made it show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTrace {
    /// The event with which the contract took the request.
    pub requested: ExecutionRequested,
    /// How it ended; `None` until it has.
    pub settled: Option<SettledTrace>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledTrace {
    /// The block in which its callback ran.
    pub block: CryptoHash,
    /// What the callback returned to the caller.
    pub settlement: Settlement,
    /// The event with which an answer was settled; `None` when no answer was.
    pub completed: Option<ExecutionCompleted>,
    /// Payments of this transaction that came back.
    pub bounced: Vec<RefundBounced>,
}

impl SettledTrace {
    /// What the settlement accounts for: fee, refund and what is held.
    pub fn accounted(&self) -> NearToken {
        let Settlement { fee, refund, held, .. } = &self.settlement;
        fee.saturating_add(*refund).saturating_add(*held)
    }
}

impl RequestTrace {
    /// The requests that `transaction` made of `contract`, in the order in which they were taken.
    ///
    /// Any contract can log the same words, so only the contract's own receipts count.
    pub fn all(contract: &AccountId, transaction: &TransactionTrace) -> Vec<Self> {
        let own: Vec<&ReceiptTrace> =
            transaction.receipts.iter().filter(|one| one.executor_id == *contract).collect();
        let requested =
            own.iter().flat_map(|receipt| receipt.events()).filter_map(|event| match event {
                Event::ExecutionRequested(event) => Some(*event),
                _ => None,
            });
        requested
            .map(|requested| Self { settled: settled(&own, requested.request_id), requested })
            .collect()
    }
}

/// The settlement that a receipt returned, in either form.
fn settlement(returned: &[u8], request_id: RequestId) -> Option<Settlement> {
    let read = serde_json::from_slice(returned).ok();
    let read: Option<Settlement> = read.or_else(|| borsh::from_slice(returned).ok());
    read.filter(|settlement| settlement.request_id == Some(request_id))
}

fn settled(own: &[&ReceiptTrace], request_id: RequestId) -> Option<SettledTrace> {
    own.iter().find_map(|receipt| {
        let settlement = settlement(&receipt.returned, request_id)?;
        let completed = receipt.events().find_map(|event| match event {
            Event::ExecutionCompleted(event) if event.request_id == request_id => Some(event),
            _ => None,
        });
        let bounced = own.iter().flat_map(|receipt| receipt.events());
        let bounced = bounced.filter_map(|event| match event {
            Event::RefundBounced(event) => Some(event),
            _ => None,
        });
        Some(SettledTrace {
            block: receipt.block,
            settlement,
            completed,
            bounced: bounced.collect(),
        })
    })
}
