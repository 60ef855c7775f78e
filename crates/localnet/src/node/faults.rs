//! Faults that tests inject between clients and the node, on purpose and repeatably.

use std::{collections::VecDeque, sync::Mutex};

use sha2::{Digest, Sha256};

use super::lock::lock;

/// What happens to a transaction that the node has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionFault {
    /// It is never included in a block, as if the node that accepted it had gone down.
    Drop,
    /// It is included in a later block than it would have been.
    Delay {
        /// By how many heights it is late.
        blocks: u64,
    },
    /// It arrives twice. The second copy meets a later block, where it is invalid.
    Duplicate,
}

/// Which RPC requests fail, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcFaults {
    /// The proportion of requests that fail, from 0.0 to 1.0.
    pub rate: f64,
    /// Together with the number of requests since the faults were set, it decides which requests
    /// fail.
    pub seed: u64,
    /// The methods whose requests may fail; all methods when empty.
    pub methods: Vec<String>,
    /// Whether a request that fails is executed all the same, so that only its response is lost.
    pub carried_out: bool,
}

impl RpcFaults {
    /// Requests of all methods fail at a rate, before they are executed.
    pub fn at_rate(rate: f64, seed: u64) -> Self {
        Self { rate, seed, methods: Vec::new(), carried_out: false }
    }

    /// Whether the request with this number fails.
    fn hits(&self, number: u64) -> bool {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_le_bytes());
        hasher.update(number.to_le_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let draw = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
        f64::from(draw) < self.rate * (f64::from(u32::MAX) + 1.0)
    }
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RpcFault {
    /// It is not executed.
    NotExecuted,
    /// It is executed, but its response is lost.
    ResponseLost,
}

/// The faults that are to be injected.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// One for each of the next transactions.
    transactions: Mutex<VecDeque<TransactionFault>>,
    /// The faults that are set, and how many requests they have been asked about.
    rpc: Mutex<Option<(RpcFaults, u64)>>,
}

impl Faults {
    /// Adds a fault for the first transaction that has none yet.
    pub(crate) fn next_transaction(&self, fault: TransactionFault) {
        lock(&self.transactions).push_back(fault);
    }

    /// How many faults have not met a transaction yet.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.transactions).len()
    }

    /// Sets the faults of RPC requests, or removes them.
    pub(crate) fn set_rpc(&self, faults: Option<RpcFaults>) {
        *lock(&self.rpc) = faults.map(|faults| (faults, 0));
    }

    /// The fault of a transaction that the node has just accepted.
    pub(super) fn next_transaction_fault(&self) -> Option<TransactionFault> {
        lock(&self.transactions).pop_front()
    }

    /// The fault of an RPC request that has just arrived.
    pub(crate) fn next_rpc_fault(&self, method: &str) -> Option<RpcFault> {
        let mut rpc = lock(&self.rpc);
        let (faults, count) = rpc.as_mut()?;
        if !faults.methods.is_empty() && !faults.methods.iter().any(|known| known == method) {
            return None;
        }
        let number = *count;
        *count = number.wrapping_add(1);
        faults.hits(number).then_some(if faults.carried_out {
            RpcFault::ResponseLost
        } else {
            RpcFault::NotExecuted
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
        assert_eq!(faults.next_rpc_fault("status"), None);
        faults.set_rpc(Some(RpcFaults {
            methods: vec!["query".to_owned()],
            carried_out: true,
            ..RpcFaults::at_rate(1.0, 0)
        }));
        assert_eq!(faults.next_rpc_fault("status"), None);
        assert_eq!(faults.next_rpc_fault("query"), Some(RpcFault::ResponseLost));
        faults.set_rpc(None);
        assert_eq!(faults.next_rpc_fault("query"), None);
    }
}
