//! Controls the stand-in for the host, with which a guest's logic is tested outside OutLayer.
//!
//! Each thread has a stand-in of its own, and `cargo test` runs each test in its own thread, so no
//! test sees the storage of another.

use crate::{
    context::Context,
    host,
    http::{Error, Request, Response},
};

/// Sets the context that [`context::current`](crate::context::current) returns, and restarts the
/// random numbers at the beginning of the sequence that belongs to its seed.
pub fn set_context(context: Context) {
    host::set_context(context);
}

/// Empties the storage, the plan, the log and the answers of HTTP, and sets the context to its
/// default.
pub fn reset() {
    host::reset();
}

/// The lines that were passed to [`output::log`](crate::output::log) so far.
#[must_use]
pub fn logs() -> Vec<String> {
    host::logs()
}

/// Sets what a request for this URL is answered. One for another URL is
/// [denied](crate::http::Error::Denied).
pub fn respond(url: &str, response: Result<Response, Error>) {
    host::respond(url, response);
}

/// The requests that were sent so far with [`http`](crate::http).
#[must_use]
pub fn requests() -> Vec<Request> {
    host::requests()
}

/// What was planned so far with [`plan`](crate::plan).
#[must_use]
pub fn plan() -> Vec<PlannedPromise> {
    host::plan()
}

/// The number of the promise whose result the guest returns, if it returns one.
#[must_use]
pub fn returned_promise() -> Option<u32> {
    host::returned()
}

/// A promise that was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPromise {
    /// The account that would execute the actions.
    pub receiver: String,
    /// The numbers of the promises that it waits for.
    pub after: Vec<u32>,
    /// The actions.
    pub actions: Vec<PlannedAction>,
}

/// An action that was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannedAction {
    /// A call of a function.
    Call {
        /// The method.
        method: String,
        /// The arguments.
        args: Vec<u8>,
        /// The attached deposit, yoctoNEAR.
        deposit: u128,
        /// The attached gas.
        gas: u64,
        /// The share of the gas that is left over.
        weight: u64,
    },
    /// A transfer.
    Transfer {
        /// The amount, yoctoNEAR.
        deposit: u128,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{context, output, random, storage};

    #[test]
    fn the_context_that_was_set_is_answered() {
        let context = Context {
            request_id: 9,
            contract_id: "outlayer.near".into(),
            attached_deposit: 10_u128.pow(24),
            random_seed: [7; 32],
            ..Context::default()
        };
        set_context(context.clone());
        assert_eq!(context::current(), context);
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_gives_others() {
        let draw = |seed: [u8; 32]| {
            set_context(Context { random_seed: seed, ..Context::default() });
            random::bytes::<24>()
        };
        let mut other = [1; 32];
        other[31] = 2;
        assert_eq!(draw([1; 32]), draw([1; 32]));
        assert_ne!(draw([1; 32]), draw(other));
    }

    #[test]
    fn reset_forgets_everything() {
        storage::write(b"k", b"v");
        output::log("a line");
        assert_eq!(logs(), ["a line"]);
        reset();
        assert_eq!(storage::read(b"k"), None);
        assert!(logs().is_empty());
        assert_eq!(context::current(), Context::default());
    }
}
