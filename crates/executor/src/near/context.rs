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
//! | `account_balance`, `account_locked_balance` | zero: a guest owns nothing |
//! | `storage_usage` | [`STORAGE_USAGE`]; only how it changes means something |
//! | `account_contract` | the code's hash |
//! | `attached_deposit` | zero, see below |
//! | `prepaid_gas` | the request's limit |
//! | `random_seed` | the same of the context |
//! | `view_config` | none: the call may write |
//! | `output_data_receivers` | none |
//!
//! The deposit of a request is OutLayer's fee and its reserve of storage. No part of it reaches the guest, so a contract that saw it as
//! its own `attached_deposit` would be told of money that it does not get, and a method without near-sdk's `#[payable]`, which
//! refuses every deposit, could never be a guest. The figure itself stands in the context and in the record; WASI guests read it there.

use near_primitives_core::{
    account::AccountContract,
    hash::CryptoHash,
    types::{Balance, Gas},
};
use near_vm_runner::logic::VMContext;
use outlayer_guest::Job;

/// What a contract is told that its account's storage uses before the call, bytes. It is more than any contract can remove.
pub(super) const STORAGE_USAGE: u64 = 1 << 40;

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
        account_balance: Balance::from_yoctonear(0),
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
