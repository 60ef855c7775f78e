//! CreateAccount and DeleteAccount (`runtime/runtime/src/actions.rs`, and `remove_account` in
//! `core/store/src/utils/mod.rs`, of nearcore).

use near_crypto::PublicKeyHandle;
use near_primitives::{
    account::{AccessKey, Account, AccountContract},
    errors::ActionErrorKind,
    receipt::Receipt,
    trie_key::{TrieKey, trie_key_parsers},
    types::{AccountId, Balance, NonceIndex},
    version::ProtocolFeature,
};

use super::{code::contract_storage, context::existing, gas_keys, result::ActionResult};
use crate::runtime::{
    amounts::{add_tokens, len},
    block::Block,
    error::RuntimeError,
};

/// Creates a sub-account of the predecessor, or a top-level account. Only the registrar may create
/// short top-level accounts.
pub(super) fn create(
    block: &Block<'_>,
    account: &mut Option<Account>,
    actor_id: &mut AccountId,
    receipt: &Receipt,
    result: &mut ActionResult,
) {
    let (account_id, predecessor_id) = (receipt.receiver_id(), receipt.predecessor_id());
    let config = &block.config.account_creation_config;
    if account_id.is_top_level() {
        let is_short = account_id.len() < usize::from(config.min_allowed_top_level_account_length);
        if is_short && predecessor_id != &config.registrar_account_id {
            result.fail(ActionErrorKind::CreateAccountOnlyByRegistrar {
                account_id: account_id.clone(),
                registrar_account_id: config.registrar_account_id.clone(),
                predecessor_id: predecessor_id.clone(),
            });
            return;
        }
    } else if !account_id.is_sub_account_of(predecessor_id) {
        result.fail(ActionErrorKind::CreateAccountNotAllowed {
            account_id: account_id.clone(),
            predecessor_id: predecessor_id.clone(),
        });
        return;
    }
    *actor_id = account_id.clone();
    *account = Some(empty_account(block, Balance::ZERO));
}

/// An account that has a balance and nothing else.
pub(super) fn empty_account(block: &Block<'_>, balance: Balance) -> Account {
    let storage = block.config.fees.storage_usage_config.num_bytes_account;
    Account::new(balance, Balance::ZERO, AccountContract::None, storage)
}

/// Deletes the account and sends its balance to a beneficiary.
pub(super) fn delete(
    block: &mut Block<'_>,
    account: &mut Option<Account>,
    actor_id: &mut AccountId,
    receipt: &Receipt,
    beneficiary_id: &AccountId,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let account_id = receipt.receiver_id();
    let deleted = existing(account)?;
    let counts_global = ProtocolFeature::FixDeleteAccountGlobalContractStorageUsage
        .enabled(block.ctx.protocol_version);
    let contract = match deleted.contract().as_ref() {
        AccountContract::Global(_) | AccountContract::GlobalByAccount(_) if !counts_global => 0,
        contract => contract_storage(block, account_id, contract),
    };
    let own_state = deleted.storage_usage().saturating_sub(contract);
    if own_state > Account::MAX_ACCOUNT_DELETION_STORAGE_USAGE {
        let account_id = account_id.clone();
        result.fail(ActionErrorKind::DeleteAccountWithLargeState { account_id });
        return Ok(());
    }
    let burnt = gas_key_balances(block, account_id)?;
    if !gas_keys::burn_balance(burnt, account_id, None, result)? {
        return Ok(());
    }
    if !deleted.amount().is_zero() {
        result.new_receipts.push(Receipt::new_balance_refund(beneficiary_id, deleted.amount()));
    }
    remove(block, account_id, result)?;
    *actor_id = receipt.predecessor_id().clone();
    *account = None;
    Ok(())
}

/// The balances of all gas keys of an account, in yoctoNEAR.
fn gas_key_balances(block: &Block<'_>, account_id: &AccountId) -> Result<Balance, RuntimeError> {
    let prefix = trie_key_parsers::get_raw_prefix_for_access_keys(account_id);
    let mut sum = Balance::ZERO;
    for raw in block.update.keys_with_prefix(&prefix) {
        let (key_handle, None) = parse_key(&raw, account_id)? else { continue };
        let key = TrieKey::AccessKey { account_id: account_id.clone(), key_handle };
        if let Some(access_key) = block.update.get::<AccessKey>(&key)?
            && let Some(info) = access_key.gas_key_info()
        {
            sum = add_tokens(sum, info.balance)?;
        }
    }
    Ok(sum)
}

/// The handle of a key, and the index of a nonce when the entry is one of a gas key's nonces.
fn parse_key(
    raw: &[u8],
    account_id: &AccountId,
) -> Result<(PublicKeyHandle, Option<NonceIndex>), RuntimeError> {
    let malformed = |_| malformed(account_id, raw);
    let key = trie_key_parsers::parse_key_handle_from_access_key_key(raw, account_id)
        .map_err(malformed)?;
    let nonce = trie_key_parsers::parse_nonce_index_from_gas_key_key(raw, account_id, &key)
        .map_err(malformed)?;
    Ok((key, nonce))
}

fn malformed(account_id: &AccountId, raw: &[u8]) -> RuntimeError {
    RuntimeError::Inconsistent(format!("a malformed key of {account_id}: {raw:?}"))
}

/// Removes the account's record, code, keys and data from the state. Receipts that wait for data or
/// for a resume stay there.
fn remove(
    block: &mut Block<'_>,
    account_id: &AccountId,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let update = &mut block.update;
    update.remove(TrieKey::Account { account_id: account_id.clone() });
    update.remove(TrieKey::ContractCode { account_id: account_id.clone() });
    let prefix = trie_key_parsers::get_raw_prefix_for_access_keys(account_id);
    let (mut nonces, mut bytes) = (0, 0);
    for raw in update.keys_with_prefix(&prefix) {
        let (key_handle, nonce) = parse_key(&raw, account_id)?;
        let account_id = account_id.clone();
        update.remove(match nonce {
            Some(index) => {
                nonces += 1;
                bytes += len(&raw);
                TrieKey::GasKeyNonce { account_id, key_handle, index }
            }
            None => TrieKey::AccessKey { account_id, key_handle },
        });
    }
    gas_keys::count_removals(block, nonces, bytes, result)?;
    let update = &mut block.update;
    let prefix = trie_key_parsers::get_raw_prefix_for_contract_data(account_id, &[]);
    for raw in update.keys_with_prefix(&prefix) {
        let key = raw.get(prefix.len()..).ok_or_else(|| malformed(account_id, &raw))?.to_vec();
        update.remove(TrieKey::ContractData { account_id: account_id.clone(), key });
    }
    Ok(())
}
