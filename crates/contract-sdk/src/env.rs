//! near-sdk's environment.

pub use near_sdk::env::*;

#[cfg(not(feature = "host"))]
pub use plain::{attached_deposit, block_height, block_timestamp, epoch_height, prepaid_gas};

/// The arguments of the call. A call without any has no register of them, and ends here: only
/// methods that need arguments ask for them.
#[inline(always)]
pub fn input() -> Option<Vec<u8>> {
    Some(required_input())
}

#[inline(never)]
fn required_input() -> Vec<u8> {
    match near_sdk::env::input() {
        Some(input) => input,
        None => panic_str("Expected input since method has arguments."),
    }
}

/// What near-sdk remembers once it has asked for it, which takes more Wasm than asking again, and
/// hardly less gas.
#[cfg(not(feature = "host"))]
mod plain {
    use near_sdk::{Gas, NearToken};
    use near_sys as sys;

    /// The height of the block.
    pub fn block_height() -> u64 {
        // SAFETY: the function has no conditions.
        unsafe { sys::block_height() }
    }

    /// The time of the block, nanoseconds since 1970.
    pub fn block_timestamp() -> u64 {
        // SAFETY: the function has no conditions.
        unsafe { sys::block_timestamp() }
    }

    /// The height of the epoch.
    pub fn epoch_height() -> u64 {
        // SAFETY: the function has no conditions.
        unsafe { sys::epoch_height() }
    }

    /// The gas that is attached to the call.
    pub fn prepaid_gas() -> Gas {
        // SAFETY: the function has no conditions.
        Gas::from_gas(unsafe { sys::prepaid_gas() })
    }

    /// The deposit that is attached to the call.
    #[inline(never)]
    pub fn attached_deposit() -> NearToken {
        let mut bytes = [0; 16];
        // SAFETY: the function writes 16 bytes, which is what there is room for.
        unsafe { sys::attached_deposit(bytes.as_mut_ptr() as u64) };
        NearToken::from_yoctonear(u128::from_le_bytes(bytes))
    }
}
