//! DeployContract (`runtime/runtime/src/actions.rs` in nearcore).

use std::sync::Arc;

use near_primitives::{
    account::{Account, AccountContract},
    trie_key::TrieKey,
    types::{AccountId, StorageUsage},
};
use near_vm_runner::{ContractCode, precompile_contract};

use crate::runtime::{amounts::len, block::Block, error::RuntimeError};

/// The bytes of storage that an account's contract takes.
pub(super) fn contract_storage(
    block: &Block<'_>,
    account_id: &AccountId,
    contract: &AccountContract,
) -> StorageUsage {
    match contract {
        AccountContract::Local(_) => {
            let key = TrieKey::ContractCode { account_id: account_id.clone() };
            block.update.get_raw(&key).map_or(0, |code| len(&code))
        }
        other => other.identifier_storage_usage(),
    }
}

/// Gives an account another contract, which takes `bytes` of storage.
pub(super) fn replace_contract(
    block: &Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    contract: AccountContract,
    bytes: StorageUsage,
) -> Result<(), RuntimeError> {
    let old = contract_storage(block, account_id, account.contract().as_ref());
    let usage = account
        .storage_usage()
        .saturating_sub(old)
        .checked_add(bytes)
        .ok_or(RuntimeError::Overflow("adding storage usage"))?;
    account.set_storage_usage(usage);
    account
        .set_contract(contract)
        .map_err(|source| RuntimeError::Account { account_id: account_id.clone(), source })
}

/// Compiles code before its first call. Code that does not compile fails when it is called.
pub(super) fn precompile(block: &Block<'_>, code: &ContractCode) {
    let config = Arc::clone(&block.config.wasm_config);
    if let Err(error) = precompile_contract(code, config, Some(block.cache)) {
        tracing::warn!(%error, "a compiled contract could not be cached");
    }
}

/// Deploys code on an account.
pub(super) fn deploy(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    code: &[u8],
) -> Result<(), RuntimeError> {
    let contract = ContractCode::new(code.to_vec(), None);
    let local = AccountContract::Local(*contract.hash());
    replace_contract(block, account, account_id, local, len(code))?;
    block.update.set_raw(TrieKey::ContractCode { account_id: account_id.clone() }, code);
    precompile(block, &contract);
    Ok(())
}
