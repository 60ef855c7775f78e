//! Arithmetic on gas, compute units, tokens and fees that fails instead of wrapping around.

use near_parameters::ParameterCost;
use near_primitives::types::{Balance, Compute, Gas};

use super::error::RuntimeError;

pub(super) fn add_gas(a: Gas, b: Gas) -> Result<Gas, RuntimeError> {
    a.checked_add(b).ok_or(RuntimeError::Overflow("adding gas"))
}

pub(super) fn sub_gas(a: Gas, b: Gas) -> Result<Gas, RuntimeError> {
    a.checked_sub(b).ok_or(RuntimeError::Overflow("subtracting gas"))
}

pub(super) fn add_compute(a: Compute, b: Compute) -> Result<Compute, RuntimeError> {
    a.checked_add(b).ok_or(RuntimeError::Overflow("adding compute usage"))
}

pub(super) fn add_tokens(a: Balance, b: Balance) -> Result<Balance, RuntimeError> {
    a.checked_add(b).ok_or(RuntimeError::Overflow("adding tokens"))
}

pub(super) fn sub_tokens(a: Balance, b: Balance) -> Result<Balance, RuntimeError> {
    a.checked_sub(b).ok_or(RuntimeError::Overflow("subtracting tokens"))
}

/// What `gas` costs, in yoctoNEAR, at a price in yoctoNEAR for each unit.
pub(super) fn gas_value(price: Balance, gas: Gas) -> Result<Balance, RuntimeError> {
    price
        .checked_mul(u128::from(gas.as_gas()))
        .ok_or(RuntimeError::Overflow("multiplying gas with its price"))
}

pub(super) fn add_cost(a: ParameterCost, b: ParameterCost) -> Result<ParameterCost, RuntimeError> {
    a.checked_add(b).ok_or(RuntimeError::Overflow("adding fees"))
}

pub(super) fn times(cost: ParameterCost, n: u64) -> Result<ParameterCost, RuntimeError> {
    cost.checked_mul(n).ok_or(RuntimeError::Overflow("multiplying fees"))
}

/// The number of bytes, in the type in which the protocol counts them.
pub(super) fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A number of items, in the type in which the protocol counts them.
pub(super) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
