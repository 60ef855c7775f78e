//! The contract's own state.

use outlayer_codec::{Decode, Encode, Input};

use crate::env;

/// near-sdk's trait of the same name, which `#[near(contract_state)]` implements.
pub trait ContractState: Sized {
    /// The key under which the state is.
    fn state_key() -> &'static [u8] {
        b"STATE"
    }

    /// Whether there is any state.
    fn state_exists() -> bool {
        env::storage_has_key(Self::state_key())
    }

    /// Reads the state. Ends the call when there is none, which near-sdk's methods would do with
    /// the same words.
    #[inline(always)]
    fn state_read() -> Option<Self>
    where
        Self: Decode,
    {
        Some(read(Self::state_key()))
    }

    /// Writes the state.
    #[inline(never)]
    fn state_write(&self) -> bool
    where
        Self: Encode,
    {
        env::storage_write(Self::state_key(), &outlayer_codec::to_vec(self))
    }
}

#[inline(never)]
fn read<T: Decode>(key: &[u8]) -> T {
    let Some(bytes) = env::storage_read(key) else {
        env::panic_str("The contract is not initialized");
    };
    let mut input = Input::new(&bytes);
    let state = T::decode(&mut input);
    if input.finish().is_err() {
        env::panic_str("Cannot deserialize the contract state.");
    }
    state
}
