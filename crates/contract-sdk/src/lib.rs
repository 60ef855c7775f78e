//! near-sdk, as the contract imports it under the name `near_sdk`: with another JSON.
//!
//! The code that `#[near]` generates for each method derives `::near_sdk::serde::Deserialize` for a
//! struct of the arguments, reads it with `::near_sdk::serde_json::from_slice`, and writes the
//! result with `::near_sdk::serde_json::to_vec`. Here these paths lead to [`outlayer_json`], which
//! does the same in much less Wasm.
//!
//! So what `#[near(serializers = [json])]` derives is read from an object's fields by
//! [`from_slice`](serde_json::from_slice) alone. A type that is a part of arguments derives serde's
//! own `Deserialize`.

pub use near_sdk::*;

/// serde, but for the derive macro that near-sdk uses.
pub mod serde {
    pub use near_sdk::serde::*;
    pub use outlayer_contract_sdk_macros::Deserialize;
}

/// What the code that near-sdk and the derive macro generate calls.
pub mod serde_json {
    /// On the host, near-sdk writes the description of every method, which has floating-point
    /// numbers.
    #[cfg(feature = "host")]
    pub use near_sdk::serde_json::to_vec;
    #[cfg(not(feature = "host"))]
    pub use outlayer_json::to_vec;
    pub use outlayer_json::{Error, Fields, FromObject, object_from_slice as from_slice};
}
