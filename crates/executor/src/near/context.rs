//! Where each field of a contract's context comes from.
//!
//! | field | source |
//! |---|---|
//! | `current_account_id` | the OutLayer contract, `contract_id` |
//! | `signer_account_id` | `signer_id` |
//! | `signer_account_pk` | no request knows it: an Ed25519 key of zeros |
//! | `predecessor_account_id` | `predecessor_id`, whose namespace the storage is |
//! | `refund_to_account_id` | `predecessor_id`: there is nothing to refund |
//! | `input` | the request's input |
//! | `promise_results` | none |
//! | `block_height`, `block_timestamp`, `epoch_height` | the same of the context |
//! | `account_balance` | zero: a guest owns nothing; [`PLANNED_BALANCE`] for one that may plan |
//! | `account_locked_balance` | zero |
//! | `storage_usage` | [`STORAGE_USAGE`]; only its changes mean something |
//! | `account_contract` | the code's hash |
//! | `attached_deposit` | zero, see below |
//! | `prepaid_gas` | the request's limit |
//! | `random_seed` | the same of the context |
//! | `view_config` | none: the call may write |
//! | `output_data_receivers` | none |
//!
//! The deposit of a request pays OutLayer's fee and the reserve for storage. No part of it reaches
//! the guest. A contract that saw it as its own `attached_deposit` would be told of money that it
//! does not get, and a method without near-sdk's `#[payable]`, which refuses every deposit, could
//! never be a guest. The amount itself stands in the context, where WASI guests read it, and in the
//! record.

use near_primitives_core::{
    account::AccountContract,
    hash::CryptoHash,
    types::{Balance, Gas},
};
use near_vm_runner::logic::VMContext;
use outlayer_guest::Job;

/// The storage, in bytes, that a contract is told its account uses before the call. It is more than
/// any contract can remove.
pub(super) const STORAGE_USAGE: u64 = 1 << 40;

/// The balance, in yoctoNEAR, that a contract is told which may plan: more than there is, so that
/// NEAR's check of what it gives away refuses nothing. What may be spent is for the caller to say,
/// which carries the plan out.
pub(super) const PLANNED_BALANCE: u128 = 1 << 112;

/// Borsh of a public key: the curve, Ed25519, and 32 bytes.
const NO_PUBLIC_KEY: [u8; 33] = [0; 33];

pub(super) fn of(job: &Job<'_>, code_hash: CryptoHash, gas: Gas) -> VMContext {
    let context = job.context;
    VMContext {
        current_account_id: context.contract_id.clone(),
        signer_account_id: context.signer_id.clone(),
        signer_account_pk: NO_PUBLIC_KEY.to_vec(),
        predecessor_account_id: context.predecessor_id.clone(),
        refund_to_account_id: context.predecessor_id.clone(),
        input: job.input.into(),
        promise_results: Vec::new().into(),
        block_height: context.block_height,
        block_timestamp: context.block_timestamp,
        epoch_height: context.epoch_height,
        account_balance: Balance::from_yoctonear(if job.limits.plan_bytes == 0 {
            0
        } else {
            PLANNED_BALANCE
        }),
        account_locked_balance: Balance::from_yoctonear(0),
        storage_usage: STORAGE_USAGE,
        account_contract: AccountContract::Local(code_hash),
        attached_deposit: Balance::from_yoctonear(0),
        prepaid_gas: gas,
        random_seed: context.random_seed.0.to_vec(),
        view_config: None,
        output_data_receivers: Vec::new(),
    }
}
