//! Applying a block again without the receipts that the runtime failed at.
//!
//! nearcore stops the node at a receipt that it cannot execute, because its rules make sure that
//! there is none. Here a test may have patched the state into something that no chain can reach,
//! such as a balance of 2^128 - 1, and a node that makes no more blocks would hide the reason. So
//! the receipt fails with an error that names the fault, and the block goes on.
//!
//! A fault within an action fails its receipt as any other error does, with refunds. Any other
//! fault undoes the whole block, which is then applied again. This time the receipt is skipped
//! (`receipts/skip.rs`): the tokens that it carries are burnt, and receipts that wait for its
//! result get a failure.

use std::{
    cell::Cell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use near_primitives::hash::CryptoHash;

use super::error::RuntimeError;

/// How many attempts are made to apply one block.
const MAX_ATTEMPTS: usize = 64;

/// The receipts that earlier attempts to apply a block have failed at, and the one that the current
/// attempt is at.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    faults: BTreeMap<CryptoHash, RuntimeError>,
    current: Cell<Option<CryptoHash>>,
}

impl Skipped {
    /// Notes which receipt is being processed: a fault from here on is that receipt's. `None`
    /// stands for the time between receipts.
    pub(super) fn enter(&self, receipt_id: Option<CryptoHash>) {
        self.current.set(receipt_id);
    }

    /// The fault at which a receipt failed earlier. `None` when it is not to be skipped.
    pub(super) fn fault(&self, receipt_id: &CryptoHash) -> Option<&RuntimeError> {
        self.faults.get(receipt_id)
    }
}

/// Applies a block, and again after each fault, without the receipt that caused it. A panic counts
/// as a fault. Gives up at a fault outside of receipts, at a receipt that fails although it is
/// skipped, and after [`MAX_ATTEMPTS`] attempts.
pub(super) fn until_applied<T>(
    attempt: impl Fn(&Skipped) -> Result<T, RuntimeError>,
) -> Result<T, RuntimeError> {
    let mut skipped = Skipped::default();
    loop {
        skipped.enter(None);
        // An attempt works on a copy of the state, which is dropped when the attempt fails.
        let outcome = catch_unwind(AssertUnwindSafe(|| attempt(&skipped)))
            .unwrap_or_else(|panic| Err(RuntimeError::Panicked(message(panic.as_ref()))));
        let error = match outcome {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(receipt_id) = skipped.current.get() else {
            return Err(error);
        };
        tracing::error!(%receipt_id, %error, "the runtime skips a receipt that it cannot execute");
        let known = skipped.faults.insert(receipt_id, error.clone());
        if known.is_some() || skipped.faults.len() >= MAX_ATTEMPTS {
            return Err(error);
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_repeated_without_the_receipts_that_it_failed_at() {
        let bad = [CryptoHash([1; 32]), CryptoHash([2; 32])];
        let done = until_applied(|skipped| {
            for id in bad {
                if skipped.fault(&id).is_none() {
                    skipped.enter(Some(id));
                    if id == bad[0] {
                        return Err(RuntimeError::Overflow("testing"));
                    }
                    panic!("a defect");
                }
            }
            skipped.enter(None);
            Ok(skipped.faults.clone())
        })
        .unwrap();
        assert_eq!(done[&bad[0]].to_string(), "an amount overflowed while testing");
        assert_eq!(done[&bad[1]].to_string(), "the runtime panicked: a defect");
    }

    #[test]
    fn a_fault_outside_of_receipts_is_not_repeated() {
        let attempts = Cell::new(0);
        let failed = until_applied::<()>(|_| {
            attempts.set(attempts.get() + 1);
            Err(RuntimeError::Overflow("testing"))
        });
        assert!(failed.is_err());
        assert_eq!(attempts.get(), 1);
    }
}
