//! near-sdk's environment.

pub use near_sdk::env::*;

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
