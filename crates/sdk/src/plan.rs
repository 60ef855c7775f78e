//! What the guest would have its caller do: promises of NEAR.
//!
//! A guest acts on nothing. It plans, and the plan comes with the outcome to the contract that
//! asked, which carries it out within bounds of its own, or does not. So nothing here has a result,
//! and no guest should count on what it planned.
//!
//! ```
//! use outlayer_sdk::plan;
//!
//! let alice = plan::promise("alice.near").transfer(7);
//! let bob = plan::promise("bob.near").transfer(8);
//! // Waits for both.
//! plan::after(&[alice, bob], "book.near").call("close", b"{}", 0, 5_000_000_000_000);
//! ```
//!
//! The host ends the execution with the outcome `LimitExceeded` when the plan is longer than the
//! request's `plan_bytes`, which are 0 unless the request says more. A plan has a byte for each one
//! of its method names, arguments and account ids, and some tens for every promise and action. What
//! no contract could carry out ends the execution as `Trapped`: a receiver that is no account id, a
//! method without a name, a call without gas, more than 100 promises, or 100 actions in one.

use crate::host;

/// A promise of the plan, known by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise(u32);

/// Plans a promise for an account, which waits for nothing.
pub fn promise(receiver: &str) -> Promise {
    after(&[], receiver)
}

/// Plans a promise for an account, which waits for the results of earlier ones and receives them in
/// this order.
pub fn after(promises: &[Promise], receiver: &str) -> Promise {
    let numbers: Vec<_> = promises.iter().map(|promise| promise.0).collect();
    Promise(host::plan_promise(receiver, &numbers))
}

impl Promise {
    /// Plans a promise for an account, which waits for the result of this one and receives it.
    pub fn then(self, receiver: &str) -> Self {
        after(&[self], receiver)
    }

    /// Adds a call of a function, with a deposit in yoctoNEAR and this much gas.
    #[allow(clippy::return_self_not_must_use, reason = "what is planned is planned")]
    pub fn call(self, method: &str, args: &[u8], deposit: u128, gas: u64) -> Self {
        self.call_with_weight(method, args, deposit, gas, 0)
    }

    /// Adds a call of a function as [`call`](Self::call) does, which also has a share of the gas
    /// that the contract allows and other calls leave: as much as its weight is of all weights.
    #[allow(clippy::return_self_not_must_use, reason = "what is planned is planned")]
    pub fn call_with_weight(
        self,
        method: &str,
        args: &[u8],
        deposit: u128,
        gas: u64,
        weight: u64,
    ) -> Self {
        host::plan_call(self.0, (method, args), deposit, gas, weight);
        self
    }

    /// Adds a transfer of this many yoctoNEAR.
    #[allow(clippy::return_self_not_must_use, reason = "what is planned is planned")]
    pub fn transfer(self, deposit: u128) -> Self {
        host::plan_transfer(self.0, deposit);
        self
    }

    /// Makes the result of this promise the one that the guest returns. It is for the contract to
    /// say what that means.
    pub fn returned(self) {
        host::plan_return(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, PlannedAction, PlannedPromise};

    #[test]
    fn what_is_planned_is_seen_by_a_test() {
        let pay = promise("alice.near").transfer(7).transfer(8);
        pay.then("book.near").call_with_weight("note", b"{}", 1, 2, 3).returned();
        let transfers = [7, 8].map(|deposit| PlannedAction::Transfer { deposit });
        let call = PlannedAction::Call {
            method: "note".to_owned(),
            args: b"{}".to_vec(),
            deposit: 1,
            gas: 2,
            weight: 3,
        };
        let planned = |receiver: &str, after: &[u32], actions: &[PlannedAction]| PlannedPromise {
            receiver: receiver.to_owned(),
            after: after.to_vec(),
            actions: actions.to_vec(),
        };
        let expected =
            [planned("alice.near", &[], &transfers), planned("book.near", &[0], &[call])];
        assert_eq!((testing::plan(), testing::returned_promise()), (expected.to_vec(), Some(1)));
        testing::reset();
        assert_eq!((testing::plan(), testing::returned_promise()), (Vec::new(), None));
    }
}
