//! How many tokens there are, in accounts, in gas keys and in receipts that are yet to be executed.
//! A block may change the sum only by what it burns.

use borsh::BorshDeserialize;
use near_parameters::RuntimeConfig;
use near_primitives::{
    account::{AccessKey, Account},
    receipt::{Receipt, VersionedReceiptEnum},
    trie_key::col,
};

use super::chain::Chain;
use crate::{
    runtime::fees::{
        receipt_exec_fee, total_deposit, total_prepaid_exec_fees, total_prepaid_gas,
        total_prepaid_send_fees,
    },
    state::State,
};

/// The tokens that a receipt carries, in yoctoNEAR: its deposits, and its gas at the price at which
/// the gas was bought.
fn carried_tokens(config: &RuntimeConfig, receipt: &Receipt) -> u128 {
    let (VersionedReceiptEnum::Action(action) | VersionedReceiptEnum::PromiseYield(action)) =
        receipt.versioned_receipt()
    else {
        return 0;
    };
    let actions = action.actions();
    let deposit = total_deposit(actions).unwrap().as_yoctonear();
    if receipt.predecessor_id().is_system() {
        return deposit;
    }
    let gas = total_prepaid_gas(actions).unwrap().as_gas()
        + total_prepaid_send_fees(config, actions).unwrap().gas.as_gas()
        + total_prepaid_exec_fees(config, actions, receipt.receiver_id()).unwrap().gas.as_gas()
        + receipt_exec_fee(config).gas.as_gas();
    deposit + u128::from(gas) * action.gas_price().as_yoctonear()
}

/// The values of a column of the state that decode as a `T`.
fn decode<T: BorshDeserialize>(state: &State, column: u8) -> impl Iterator<Item = T> {
    state.iter_prefix(&[column]).filter_map(|(_, value)| T::try_from_slice(&value).ok())
}

/// All tokens of a chain, in yoctoNEAR.
pub(super) fn total_supply(chain: &Chain, config: &RuntimeConfig) -> u128 {
    let accounts: u128 = decode::<Account>(&chain.state, col::ACCOUNT)
        .map(|account| account.amount().as_yoctonear() + account.locked().as_yoctonear())
        .sum();
    let gas_keys: u128 = decode::<AccessKey>(&chain.state, col::ACCESS_KEY)
        .filter_map(|key| key.gas_key_info().map(|info| info.balance.as_yoctonear()))
        .sum();
    let columns =
        [col::POSTPONED_RECEIPT, col::PROMISE_YIELD_RECEIPT, col::DELAYED_RECEIPT_OR_INDICES];
    let waiting: u128 = columns
        .into_iter()
        .flat_map(|column| decode::<Receipt>(&chain.state, column))
        .map(|receipt| carried_tokens(config, &receipt))
        .sum();
    let outgoing: u128 = chain.outgoing.iter().map(|receipt| carried_tokens(config, receipt)).sum();
    accounts + gas_keys + waiting + outgoing
}
