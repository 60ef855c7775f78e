//! What a dApp contract imports to call OutLayer.
//!
//! ```ignore
//! let payer = env::predecessor_account_id();
//! ext_outlayer::ext(self.outlayer.clone())
//!     .with_attached_deposit(env::attached_deposit())
//!     .request_execution(&request_for(payer, code, "input"))
//!     .then("on_answer", &(), Gas::from_tgas(10))
//!     .return_to_caller();
//! ```
//!
//! and, in the callback, `outlayer_interface::settlement()`. The README of this crate has a table
//! of where every yoctoNEAR goes.
//!
//! All calls are made with near-sdk's promise functions in `env`, so that a dApp links on every
//! network from protocol version 84 on. near-sdk's own `Promise` needs host functions that only
//! newer networks have.

#![deny(missing_docs)]

mod call;
mod callback;
mod names;
mod plan;
#[cfg(test)]
mod snippets;
mod storage;
#[cfg(test)]
mod tests;

pub use call::{Call, Outlayer, join, named, request_for};
pub use callback::{
    CallbackError, DecodeError, Deposit, result, result_at, settlement, settlement_at,
};
pub use outlayer_protocol as protocol;
pub use outlayer_protocol::{
    Bytes, CancelBy, CodeRef, CodeSource, Compute, ExecutionRequest, GuestKind, Hash32, HttpAccess,
    KeptResult, OnRefusal, Outcome, Plan, ResourceLimits, ResponseFormat, SecretRef, Settlement,
    views::StorageBalance,
};
pub use plan::{Bounds, CarriedOut, PlanRefused};

/// The calls to an OutLayer contract, in the style of near-sdk's `ext_contract`.
pub mod ext_outlayer {
    use near_sdk::AccountId;

    use crate::Outlayer;

    /// The OutLayer contract with this account id, to be called.
    pub fn ext(account_id: AccountId) -> Outlayer {
        Outlayer::new(account_id)
    }
}
