//! yoctoNEAR in 256 bits, in which the products that elections and rewards need cannot overflow.

use near_primitives::types::Balance;
use primitive_types::U256;

/// Widens an amount.
pub(super) fn from_balance(amount: Balance) -> U256 {
    U256::from(amount.as_yoctonear())
}

/// Narrows an amount. Anything above 2^128 - 1 becomes 2^128 - 1; shares of the total supply are
/// far below that.
pub(super) fn to_balance(value: U256) -> Balance {
    Balance::from_yoctonear(if value.bits() > 128 { u128::MAX } else { value.low_u128() })
}
