//! Faults that tests inject: what goes wrong between a client and a network, on purpose and repeatably.

use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// What happens to a transaction that the node has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionFault {
    /// It never gets into a block, as if the node that took it had gone down.
    Drop,
    /// It gets into a block this many heights later than it would have.
    Delay {
        /// The heights.
        blocks: u64,
    },
    /// It arrives twice; a later block meets the copy, and has to refuse it.
    Duplicate,
}

/// Which requests fail, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcFaults {
    /// The part of requests that fail, from 0.0 to 1.0.
    pub rate: f64,
    /// Which ones do follows from this and from the count of requests since the faults were set.
    pub seed: u64,
    /// The methods that may fail; all when empty.
    pub methods: Vec<String>,
    /// Whether a request that fails has been carried out all the same, so that only its answer is lost.
    pub carried_out: bool,
}

impl RpcFaults {
    /// Requests of all methods fail at a rate, before anything is done.
    pub fn at_rate(rate: f64, seed: u64) -> Self {
        Self { rate, seed, methods: Vec::new(), carried_out: false }
    }

    /// Whether the request of this number fails.
    fn hits(&self, number: u64) -> bool {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_le_bytes());
        hasher.update(number.to_le_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let draw = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
        f64::from(draw) < self.rate * (f64::from(u32::MAX) + 1.0)
    }
}

/// How an injected fault shows in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RpcFault {
    /// Nothing was done.
    Refused,
    /// The answer is lost.
    AnswerLost,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    transactions: Mutex<VecDeque<TransactionFault>>,
    rpc: Mutex<Option<(RpcFaults, u64)>>,
}

impl Faults {
    pub(crate) fn next_transaction(&self, fault: TransactionFault) {
        let mut queue = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(fault);
    }

    /// How many transactions are still to meet a fault.
    pub(crate) fn waiting(&self) -> usize {
        self.transactions.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn set_rpc(&self, faults: Option<RpcFaults>) {
        let mut rpc = self.rpc.lock().unwrap_or_else(PoisonError::into_inner);
        *rpc = faults.map(|faults| (faults, 0));
    }

    /// What happens to the transaction at hand.
    pub(super) fn take(&self) -> Option<TransactionFault> {
        let mut queue = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    }

    /// What happens to a request.
    pub(crate) fn draw(&self, method: &str) -> Option<RpcFault> {
        let mut rpc = self.rpc.lock().unwrap_or_else(PoisonError::into_inner);
        let (faults, count) = rpc.as_mut()?;
        if !faults.methods.is_empty() && !faults.methods.iter().any(|known| known == method) {
            return None;
        }
        let number = *count;
        *count = number.wrapping_add(1);
        faults.hits(number).then_some(if faults.carried_out {
            RpcFault::AnswerLost
        } else {
            RpcFault::Refused
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_which_requests_fail_and_the_rate_how_many() {
        let pattern = |rate, seed| -> Vec<bool> {
            let faults = RpcFaults::at_rate(rate, seed);
            (0..1000).map(|number| faults.hits(number)).collect()
        };
        assert_eq!(pattern(0.3, 1), pattern(0.3, 1));
        assert_ne!(pattern(0.3, 1), pattern(0.3, 2));
        let failed = pattern(0.3, 1).iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&failed), "{failed}");
        assert!(pattern(0.0, 1).iter().all(|hit| !hit));
        assert!(pattern(1.0, 1).iter().all(|hit| *hit));
    }

    #[test]
    fn only_the_named_methods_fail() {
        let faults = Faults::default();
        assert_eq!(faults.draw("status"), None);
        faults.set_rpc(Some(RpcFaults {
            methods: vec!["query".to_owned()],
            carried_out: true,
            ..RpcFaults::at_rate(1.0, 0)
        }));
        assert_eq!(faults.draw("status"), None);
        assert_eq!(faults.draw("query"), Some(RpcFault::AnswerLost));
        faults.set_rpc(None);
        assert_eq!(faults.draw("query"), None);
    }
}
