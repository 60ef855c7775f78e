//! The differences from the recordings that are expected, exact to the unit of gas, with their
//! reason.

use crate::compare::Difference;

/// The gas of one Wasm operator since protocol 83.
const OPERATOR: i128 = 822_756;

/// What growing memory costs more here. `calls-memory` grows the memory by 10 pages, and then tries
/// to grow it by 100,000, which fails. The recorded node charged one operator for each
/// `memory.grow`. near-vm-runner 0.38 charges 32, and one more for each page that is asked for.
const GROW_GAS: i128 = (31 + 10 + 31 + 100_000) * OPERATOR;

/// The contract's share of that gas: three tenths. The share is rounded down to whole gas both in
/// the recording and here, and this is the difference of the two.
const REWARD_GAS: i128 = 24_700_451_530;

/// The gas price of the recordings, in yoctoNEAR.
const GAS_PRICE: i128 = 100_000_000;

/// What differs as a consequence, because the signer pays for the gas and the contract earns its
/// share. Each entry has the scenario, the step, the end of the path, and the found value minus the
/// recorded one.
const KNOWN: [(&str, usize, &str, i128); 10] = [
    ("calls-memory", 0, ".receipts_outcome[0].gas_burnt", GROW_GAS),
    ("calls-memory", 0, ".receipts_outcome[0].tokens_burnt", GROW_GAS * GAS_PRICE),
    ("calls-memory", 0, ".receipts_outcome[0].metadata.gas_profile[5].gas_used", GROW_GAS),
    (
        "calls-memory",
        0,
        ".receipts.t0.r1.receipt.Action.actions[0].Transfer.deposit",
        -GROW_GAS * GAS_PRICE,
    ),
    ("calls-memory", 0, ".accounts_after.alice.test.near.amount", -GROW_GAS * GAS_PRICE),
    ("calls-memory", 0, ".accounts_after.bob.test.near.amount", REWARD_GAS * GAS_PRICE),
    ("calls-memory", 1, ".accounts_before.alice.test.near.amount", -GROW_GAS * GAS_PRICE),
    ("calls-memory", 1, ".accounts_before.bob.test.near.amount", REWARD_GAS * GAS_PRICE),
    ("calls-memory", 1, ".accounts_after.alice.test.near.amount", -GROW_GAS * GAS_PRICE),
    ("calls-memory", 1, ".accounts_after.bob.test.near.amount", REWARD_GAS * GAS_PRICE),
];

/// Whether a difference is one of the known ones and has exactly the known size.
pub(crate) fn is_known(scenario: &str, step: usize, difference: &Difference) -> bool {
    let number = |value: &serde_json::Value| -> Option<i128> {
        value.as_u64().map(i128::from).or_else(|| value.as_str()?.parse().ok())
    };
    let (Some(recorded), Some(found)) = (number(&difference.expected), number(&difference.found))
    else {
        return false;
    };
    KNOWN.iter().any(|(known, at, path, size)| {
        *known == scenario
            && *at == step
            && difference.path.ends_with(path)
            && found - recorded == *size
    })
}
