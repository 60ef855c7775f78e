//! AddKey and DeleteKey (`runtime/runtime/src/access_keys.rs` in nearcore).

use near_crypto::PublicKey;
use near_primitives::{
    account::{AccessKey, Account},
    action::AddKeyAction,
    errors::ActionErrorKind,
    trie_key::TrieKey,
    types::{AccountId, BlockHeight, Nonce, NonceIndex, StorageUsage},
};

use super::{gas_keys, result::ActionResult};
use crate::{
    runtime::{amounts::count, block::Block, error::RuntimeError},
    state::{access_key_key, encode},
};

/// The nonce with which a new key begins. It grows with the height, so that a key which is deleted
/// and added again accepts no old transaction.
pub(super) fn first_nonce(height: BlockHeight) -> Nonce {
    height.saturating_sub(1).saturating_mul(AccessKey::ACCESS_KEY_NONCE_RANGE_MULTIPLIER)
}

/// The bytes of storage that a key takes, with the nonces of a gas key.
pub(super) fn storage_usage(
    block: &Block<'_>,
    public_key: &PublicKey,
    access_key: &AccessKey,
) -> StorageUsage {
    let record = block.config.fees.storage_usage_config.num_extra_bytes_record;
    let key = count(public_key.trie_id_len());
    let nonce = key + count(size_of::<NonceIndex>() + AccessKey::NONCE_VALUE_LEN) + record;
    let nonces = access_key.gas_key_info().map_or(0, |info| u64::from(info.num_nonces));
    key + count(encode(access_key).len()) + record + nonces * nonce
}

pub(super) fn add(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    add: &AddKeyAction,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    if block.update.access_key(account_id, &add.public_key)?.is_some() {
        result.fail(ActionErrorKind::AddKeyAlreadyExists {
            account_id: account_id.clone(),
            public_key: Box::new(add.public_key.clone()),
        });
        return Ok(());
    }
    let mut access_key = add.access_key.clone();
    let nonce = first_nonce(block.ctx.height);
    match access_key.gas_key_info().map(|info| info.num_nonces) {
        None => access_key.nonce = nonce,
        Some(num_nonces) => {
            // The nonces of a gas key have entries of their own.
            access_key.nonce = 0;
            for index in 0..num_nonces {
                block.update.set_gas_key_nonce(account_id, &add.public_key, index, nonce);
            }
        }
    }
    block.update.set_access_key(account_id, &add.public_key, &access_key);
    let usage = account
        .storage_usage()
        .checked_add(storage_usage(block, &add.public_key, &access_key))
        .ok_or(RuntimeError::Overflow("adding storage usage"))?;
    account.set_storage_usage(usage);
    Ok(())
}

pub(super) fn delete(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    public_key: &PublicKey,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let Some(access_key) = block.update.access_key(account_id, public_key)? else {
        result.fail(ActionErrorKind::DeleteKeyDoesNotExist {
            account_id: account_id.clone(),
            public_key: Box::new(public_key.clone()),
        });
        return Ok(());
    };
    if let Some(info) = access_key.gas_key_info() {
        if !gas_keys::burn_balance(info.balance, account_id, Some(public_key), result)? {
            return Ok(());
        }
        let (mut bytes, prefix) = (0, access_key_key(account_id, public_key).len());
        for index in 0..info.num_nonces {
            block.update.remove(TrieKey::gas_key_nonce(account_id.clone(), public_key, index));
            bytes += count(prefix + size_of::<NonceIndex>());
        }
        gas_keys::count_removals(block, u64::from(info.num_nonces), bytes, result)?;
    }
    let freed = storage_usage(block, public_key, &access_key);
    block.update.remove(access_key_key(account_id, public_key));
    account.set_storage_usage(account.storage_usage().saturating_sub(freed));
    Ok(())
}
