//! The futures that a worker gives to its runtime to drive. All of them pass through here, so that
//! a test can count how often they wait, and kill the worker where it does.

/// Returns the future as it is.
#[cfg(not(test))]
pub(super) fn task<F: Future>(future: F) -> F {
    future
}

#[cfg(test)]
pub(super) use super::tests::kills::counted as task;
