//! near-sdk, as the contract imports it under the name `near_sdk`: with another JSON, another
//! borsh, and with less code in each method.
//!
//! The code that `#[near]` generates for each method derives `::near_sdk::serde::Deserialize` for a
//! struct of the arguments, reads it with `::near_sdk::serde_json::from_slice`, and writes the
//! result with `::near_sdk::serde_json::to_vec`. Here these paths lead to [`outlayer_json`], which
//! does the same in much less Wasm.
//!
//! That code also handles every error where it occurs, which is half of its Wasm. What it calls
//! here fails with the same words by itself, and the compiler leaves out the rest.
//!
//! So what `#[near(serializers = [json])]` derives is read from an object's fields by
//! [`from_slice`](serde_json::from_slice) alone. A type that is a part of arguments derives serde's
//! own `Deserialize`.

mod arguments;
pub mod env;
pub mod state;

pub use near_sdk::*;

/// borsh, but for the code that reads and writes values, which is [`outlayer_codec`]'s.
pub mod borsh {
    pub use near_sdk::borsh::*;
    pub use outlayer_codec_macros::{Decode as BorshDeserialize, Encode as BorshSerialize};

    pub use crate::arguments::BorshDeserialize;

    /// The encoding of a value.
    ///
    /// # Errors
    /// None. The result has the form that near-sdk expects.
    pub fn to_vec<T: outlayer_codec::Encode>(value: &T) -> Result<Vec<u8>, outlayer_json::Never> {
        Ok(outlayer_codec::to_vec(value))
    }
}

/// serde, but for the derive macros that near-sdk uses.
pub mod serde {
    pub use near_sdk::serde::*;
    #[cfg(not(feature = "host"))]
    pub use outlayer_codec_macros::ToJson as Serialize;
    pub use outlayer_contract_sdk_macros::Deserialize;
}

/// What the code that near-sdk and the derive macro generate calls.
pub mod serde_json {
    /// On the host, near-sdk writes the description of every method, which has floating-point
    /// numbers.
    #[cfg(feature = "host")]
    pub use near_sdk::serde_json::to_vec;
    pub use outlayer_json::Error;
    #[cfg(not(feature = "host"))]
    use outlayer_json::{Never, ToJson};

    pub use crate::arguments::{Arguments, FromArguments, from_slice};

    /// The JSON of a value.
    ///
    /// # Errors
    /// None. The result has the form that near-sdk expects.
    #[cfg(not(feature = "host"))]
    pub fn to_vec(value: &dyn ToJson) -> Result<Vec<u8>, Never> {
        Ok(outlayer_json::to_vec(value))
    }
}
