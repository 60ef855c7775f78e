//! Checks of transactions.

pub(super) mod verify;
