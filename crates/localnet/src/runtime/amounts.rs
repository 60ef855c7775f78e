//! Sums of gas, compute and tokens that fail instead of wrapping.

use super::types::RuntimeError;
use near_parameters::ParameterCost;
use near_primitives::types::{Balance, Compute, Gas};

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

/// What `gas` costs at a price in yoctoNEAR.
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

/// The length of bytes, as the protocol counts it.
pub(super) fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A count of things, as the protocol counts it.
pub(super) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
