//! The fees of actions as plain numbers, and how often an action pays each of them.
//!
//! The numbers are those of `res/runtime_configs` in near-parameters. A test holds them to the
//! tables.

use std::collections::BTreeSet;

use near_parameters::ActionCosts as Cost;
use near_primitives::{
    account::{AccessKeyPermission, id::AccountType},
    action::{Action, GlobalContractIdentifier, delegate::VersionedDelegateActionRef},
    types::AccountId,
    universal_state_init::UniversalStateInit,
};

/// The fees of sending an action to oneself, of sending it to another, and of executing it, in gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fee(pub(super) u128, pub(super) u128, pub(super) u128);

impl Fee {
    const fn same(gas: u128) -> Self {
        Self(gas, gas, gas)
    }

    fn sent(self, to_self: bool) -> u128 {
        if to_self { self.0 } else { self.1 }
    }
}

/// The numbers of the tables.
pub(super) fn table(version: u32, cost: Cost) -> Fee {
    match cost {
        Cost::create_account if version < 85 => Fee::same(3_850_000_000_000),
        Cost::create_account => Fee(500_000_000_000, 500_000_000_000, 7_200_000_000_000),
        Cost::delete_account => Fee::same(147_489_000_000),
        Cost::deploy_contract_base
        | Cost::deploy_global_contract_base
        | Cost::use_global_contract_base => Fee::same(184_765_750_000),
        Cost::deploy_contract_byte | Cost::use_global_contract_byte => {
            Fee(6_812_999, 47_683_715, 64_572_944)
        }
        Cost::deploy_global_contract_byte => Fee(6_812_999, 47_683_715, 70_000_000),
        Cost::function_call_base => Fee(200_000_000_000, 200_000_000_000, 780_000_000_000),
        Cost::function_call_byte => Fee(2_235_934, 47_683_715, 2_235_934),
        Cost::transfer => Fee::same(115_123_062_500),
        Cost::stake => Fee(141_715_687_500, 141_715_687_500, 102_217_625_000),
        Cost::add_full_access_key => Fee::same(101_765_125_000),
        Cost::add_function_call_key_base => Fee::same(102_217_625_000),
        Cost::add_function_call_key_byte => Fee(1_925_331, 47_683_715, 1_925_331),
        Cost::delete_key => Fee::same(94_946_625_000),
        Cost::new_action_receipt => Fee::same(108_059_500_000),
        Cost::new_data_receipt_base => Fee::same(36_486_732_312),
        Cost::new_data_receipt_byte => Fee(17_212_011, 47_683_715, 17_212_011),
        Cost::delegate => Fee::same(200_000_000_000),
        Cost::deterministic_state_init_base if version < 85 => {
            Fee(3_850_000_000_000, 3_850_000_000_000, 4_080_000_000_000)
        }
        Cost::deterministic_state_init_base | Cost::universal_state_init_base => {
            Fee(500_000_000_000, 500_000_000_000, 7_430_000_000_000)
        }
        Cost::universal_state_init_byte if version >= 88 => Fee(78_000_000, 78_000_000, 74_000_000),
        Cost::deterministic_state_init_byte | Cost::universal_state_init_byte => {
            Fee(72_000_000, 72_000_000, 70_000_000)
        }
        Cost::universal_state_init_entry if version >= 88 => {
            Fee(3_100_000_000, 3_100_000_000, 200_000_000_000)
        }
        Cost::deterministic_state_init_entry | Cost::universal_state_init_entry => {
            Fee(0, 0, 200_000_000_000)
        }
        Cost::gas_key_transfer_base => Fee(115_123_062_500, 115_123_062_500, 235_676_644_250),
        Cost::gas_key_byte => Fee(59_357_464, 59_357_464, 101_435_400),
        Cost::gas_key_nonce_write_base => Fee(0, 0, 64_196_736_000),
    }
}

/// How often an action pays a fee: when it is sent, and when it is executed.
type Term = (Cost, usize, usize);

const fn both(cost: Cost, times: usize) -> Term {
    (cost, times, times)
}

/// What an action that `receiver` gets pays.
pub(super) fn terms(action: &Action, receiver: &AccountId) -> Vec<Term> {
    let names = |names: &[String]| names.iter().map(|name| name.len() + 1).sum();
    let call_key = |methods: &[String]| {
        vec![
            both(Cost::add_function_call_key_base, 1),
            both(Cost::add_function_call_key_byte, names(methods)),
        ]
    };
    match action {
        Action::CreateAccount(_) => vec![both(Cost::create_account, 1)],
        Action::Transfer(_) => {
            let mut terms = vec![both(Cost::transfer, 1)];
            match receiver.get_account_type() {
                AccountType::NamedAccount => {}
                AccountType::NearImplicitAccount => terms
                    .extend([both(Cost::create_account, 1), both(Cost::add_full_access_key, 1)]),
                _ => terms.push(both(Cost::create_account, 1)),
            }
            terms
        }
        Action::DeployContract(deploy) => vec![
            both(Cost::deploy_contract_base, 1),
            both(Cost::deploy_contract_byte, deploy.code.len()),
        ],
        Action::FunctionCall(call) => vec![
            both(Cost::function_call_base, 1),
            both(Cost::function_call_byte, call.method_name.len() + call.args.len()),
        ],
        Action::Stake(_) => vec![both(Cost::stake, 1)],
        Action::AddKey(add) => match &add.access_key.permission {
            AccessKeyPermission::FunctionCall(call) => call_key(&call.method_names),
            AccessKeyPermission::FullAccess => vec![both(Cost::add_full_access_key, 1)],
            AccessKeyPermission::GasKeyFullAccess(info) => {
                let mut terms = vec![both(Cost::add_full_access_key, 1)];
                terms.extend(gas_key(info.num_nonces, receiver));
                terms
            }
            AccessKeyPermission::GasKeyFunctionCall(info, call) => {
                let mut terms = call_key(&call.method_names);
                terms.extend(gas_key(info.num_nonces, receiver));
                terms
            }
        },
        // The same entry for the key, and 27 bytes of the access key.
        Action::TransferToGasKey(_) | Action::WithdrawFromGasKey(_) => vec![
            both(Cost::gas_key_transfer_base, 1),
            (Cost::gas_key_byte, 33, 2 + receiver.len() + 33 + 27),
        ],
        Action::DeterministicStateInit(init) => {
            let data = init.state_init.data();
            let bytes = data.iter().map(|(key, value)| key.len() + value.len()).sum();
            vec![
                both(Cost::deterministic_state_init_base, 1),
                both(Cost::deterministic_state_init_entry, data.len()),
                both(Cost::deterministic_state_init_byte, bytes),
            ]
        }
        Action::UniversalStateInit(init) => {
            let UniversalStateInit::V1(state) =
                UniversalStateInit::from_raw_lenient(&init.state_init).unwrap();
            vec![
                both(Cost::universal_state_init_base, 1),
                both(Cost::universal_state_init_entry, state.data.len()),
                both(Cost::universal_state_init_byte, init.state_init.0.len()),
                both(Cost::add_full_access_key, state.access_keys.len()),
            ]
        }
        Action::DeleteKey(_) => vec![both(Cost::delete_key, 1)],
        Action::DeleteAccount(_) => vec![both(Cost::delete_account, 1)],
        Action::Delegate(_) | Action::DelegateV2(_) => vec![both(Cost::delegate, 1)],
        Action::DeployGlobalContract(deploy) => vec![
            both(Cost::deploy_global_contract_base, 1),
            both(Cost::deploy_global_contract_byte, deploy.code.len()),
        ],
        Action::UseGlobalContract(usage) => {
            let bytes = match &usage.contract_identifier {
                GlobalContractIdentifier::CodeHash(_) => 32,
                GlobalContractIdentifier::AccountId(account_id) => account_id.len(),
            };
            vec![
                both(Cost::use_global_contract_base, 1),
                both(Cost::use_global_contract_byte, bytes),
            ]
        }
    }
}

/// What a gas key costs more than another key. Sending costs the 18 bytes of the balance and of the
/// number of nonces. Each nonce is an entry of the state: the account's name and the key between
/// two bytes of their own, two bytes for the index, and eight for the nonce.
fn gas_key(nonces: u16, receiver: &AccountId) -> [Term; 2] {
    let (nonces, entry) = (usize::from(nonces), 2 + receiver.len() + 33 + 2 + 8);
    [(Cost::gas_key_nonce_write_base, 0, nonces), (Cost::gas_key_byte, 18, nonces * entry)]
}

/// What a transaction should burn, in gas, without what contracts burn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Burnt {
    /// By the transaction itself: sending the receipt and its actions.
    pub(super) transaction: u128,
    /// By its receipt, when all of its actions succeed.
    pub(super) receipt: u128,
}

fn sum(terms: &[Term], gas: impl Fn(&Term) -> u128) -> u128 {
    terms.iter().map(gas).sum()
}

pub(super) fn burnt(
    version: u32,
    sender: &AccountId,
    receiver: &AccountId,
    actions: &[Action],
) -> Burnt {
    let sent = |terms: &[Term], to_self: bool| {
        sum(terms, |(cost, times, _)| table(version, *cost).sent(to_self) * *times as u128)
    };
    let executed =
        |terms: &[Term]| sum(terms, |(cost, _, times)| table(version, *cost).2 * *times as u128);
    let to_self = sender == receiver;
    let receipt = [both(Cost::new_action_receipt, 1)];
    let mut burnt = Burnt { transaction: sent(&receipt, to_self), receipt: executed(&receipt) };
    for action in actions {
        let terms = terms(action, receiver);
        burnt.transaction += sent(&terms, to_self);
        burnt.receipt += executed(&terms);
        let Some(inner) = delegated(action) else { continue };
        // Sending the inner actions costs twice: with the transaction, and when its receipt sends
        // them on. The inner receipt itself is sent for nothing.
        for action in inner.get_actions() {
            let terms = self::terms(&action, inner.receiver_id());
            let sent = sent(&terms, inner.sender_id() == inner.receiver_id());
            burnt.transaction += sent;
            burnt.receipt += sent;
        }
    }
    burnt
}

fn delegated(action: &Action) -> Option<VersionedDelegateActionRef<'_>> {
    match action {
        Action::Delegate(signed) => Some((&signed.delegate_action).into()),
        Action::DelegateV2(signed) => Some((&signed.delegate_action).into()),
        _ => None,
    }
}

/// The fees that a transaction pays, each with more than nothing.
pub(super) fn paid(receiver: &AccountId, actions: &[Action]) -> BTreeSet<Cost> {
    let terms = actions.iter().flat_map(|action| terms(action, receiver));
    let paid = terms.filter(|(_, sent, executed)| sent + executed > 0).map(|(cost, ..)| cost);
    paid.chain([Cost::new_action_receipt]).collect()
}
