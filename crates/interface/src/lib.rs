//! What a dApp contract imports to call OutLayer.
//!
//! ```ignore
//! ext_outlayer::ext(self.outlayer.clone())
//!     .with_attached_deposit(env::attached_deposit())
//!     .request_execution(&request)
//!     .then("on_answer", &(), Gas::from_tgas(10))
//!     .return_to_caller();
//! ```
//!
//! and, in the callback, `outlayer_interface::settlement()`.
//!
//! All calls are made with near-sdk's promise functions in `env`, so that a dApp links on every
//! network from protocol version 84 on. near-sdk's own `Promise` needs host functions that only
//! newer networks have.

#![deny(missing_docs)]

mod call;
mod callback;

pub use call::{Call, Outlayer, join};
pub use callback::{CallbackError, DecodeError, settlement, settlement_at};
pub use outlayer_protocol as protocol;
pub use outlayer_protocol::{
    Bytes, CodeRef, CodeSource, Compute, ExecutionRequest, GuestKind, Hash32, Outcome,
    ResourceLimits, ResponseFormat, Settlement,
};

/// The calls to an OutLayer contract, in the style of near-sdk's `ext_contract`.
pub mod ext_outlayer {
    use near_sdk::AccountId;

    use crate::Outlayer;

    /// The OutLayer contract with this account id, to be called.
    pub fn ext(account_id: AccountId) -> Outlayer {
        Outlayer::new(account_id)
    }
}
