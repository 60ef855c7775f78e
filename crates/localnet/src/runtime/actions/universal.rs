//! Universal accounts, whose ids commit to their first keys, code and data
//! (`runtime/runtime/src/universal_account_id.rs` in nearcore).

use near_primitives::{
    account::{AccessKey, Account},
    action::UniversalStateInitAction,
    errors::ActionErrorKind,
    receipt::Receipt,
    trie_key::TrieKey,
    types::{AccountId, Balance, Nonce},
    universal_state_init::UniversalStateInit,
    version::ProtocolFeature,
};

use super::{global, keys, result::ActionResult, state_init::settle_deposit};
use crate::{
    runtime::{
        amounts::{count, len},
        block::Block,
        error::RuntimeError,
    },
    state::{contract_data_key, encode},
};

/// An account that has a balance and waits for its state init. Until then, its own transactions use
/// a nonce of the account.
pub(super) fn uninitialized(block: &Block<'_>, balance: Balance) -> Account {
    let bytes = block.config.fees.storage_usage_config.num_bytes_account;
    Account::new_uninitialized(balance, bytes, keys::first_nonce(block.ctx.height))
}

/// Gives the account its keys, code and data, unless it has them already. A new account keeps as
/// much of the deposit as it lacks for its storage, and the rest is refunded.
pub(super) fn apply(
    block: &mut Block<'_>,
    account: &mut Option<Account>,
    receipt: &Receipt,
    action: &UniversalStateInitAction,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let account = account.get_or_insert_with(|| uninitialized(block, Balance::ZERO));
    let Some(used) = account.bootstrap_nonce() else {
        let refunds_all = ProtocolFeature::RefundRepeatedUniversalStateInitDeposit
            .enabled(block.ctx.protocol_version);
        if refunds_all {
            result.refund_deposit(receipt, action.deposit);
            return Ok(());
        }
        return settle_deposit(block, account, receipt, action.deposit, result);
    };
    // Validation has decoded it once already.
    let Ok(state_init) = UniversalStateInit::from_raw_lenient(&action.state_init) else {
        result.fail(ActionErrorKind::MalformedUniversalStateInit);
        return Ok(());
    };
    let initialized = account.initialize();
    initialized.map_err(|error| RuntimeError::Inconsistent(format!("{error:?}")))?;
    // The transaction that has used a nonce of the account is no transaction of a key.
    let nonce = keys::first_nonce(block.ctx.height).max(used);
    install(block, account, receipt.receiver_id(), &state_init, nonce, result)?;
    if result.result.is_err() {
        return Ok(());
    }
    settle_deposit(block, account, receipt, action.deposit, result)
}

/// Stores the code, the data and the keys, and adds what they take to the account's storage.
fn install(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    state_init: &UniversalStateInit,
    nonce: Nonce,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    if let Some(code) = state_init.code() {
        global::use_on(block, account, account_id, code, result)?;
        if result.result.is_err() {
            return Ok(());
        }
    }
    let extra = block.config.fees.storage_usage_config.num_extra_bytes_record;
    let add = |usage: u64, key: u64, value: u64| {
        let record = key.checked_add(value).and_then(|bytes| bytes.checked_add(extra));
        record
            .and_then(|bytes| usage.checked_add(bytes))
            .ok_or(RuntimeError::Overflow("adding storage usage"))
    };
    let mut usage = account.storage_usage();
    for (key, value) in state_init.data() {
        usage = add(usage, len(key), len(value))?;
        block.update.set_raw(contract_data_key(account_id, key), value.as_slice());
    }
    let access_key = AccessKey { nonce, ..AccessKey::full_access() };
    let bytes = count(encode(&access_key).len());
    for key_handle in state_init.access_keys() {
        usage = add(usage, count(key_handle.trie_id_len()), bytes)?;
        let key_handle = key_handle.clone();
        let key = TrieKey::AccessKey { account_id: account_id.clone(), key_handle };
        block.update.set(key, &access_key);
    }
    account.set_storage_usage(usage);
    Ok(())
}
