//! AddKey and DeleteKey (`runtime/runtime/src/access_keys.rs` in nearcore).

use near_crypto::PublicKey;
use near_primitives::{
    account::{AccessKey, Account},
    action::AddKeyAction,
    errors::ActionErrorKind,
    types::{AccountId, BlockHeight, Nonce, StorageUsage},
};

use super::result::ActionResult;
use crate::{
    runtime::{amounts::count, block::Block, error::RuntimeError},
    state::{access_key_key, encode},
};

/// The nonce with which a new key begins. It grows with the height, so that a key which is deleted
/// and added again accepts no old transaction.
pub(super) fn first_nonce(height: BlockHeight) -> Nonce {
    height.saturating_sub(1).saturating_mul(AccessKey::ACCESS_KEY_NONCE_RANGE_MULTIPLIER)
}

/// The bytes of storage that a key takes.
pub(super) fn storage_usage(
    block: &Block<'_>,
    public_key: &PublicKey,
    access_key: &AccessKey,
) -> StorageUsage {
    count(public_key.trie_id_len())
        + count(encode(access_key).len())
        + block.config.fees.storage_usage_config.num_extra_bytes_record
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
    access_key.nonce = first_nonce(block.ctx.height);
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
    let freed = storage_usage(block, public_key, &access_key);
    block.update.remove(access_key_key(account_id, public_key));
    account.set_storage_usage(account.storage_usage().saturating_sub(freed));
    Ok(())
}
