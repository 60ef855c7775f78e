//! Global contracts, which are deployed once and can be used by any account
//! (`runtime/runtime/src/global_contracts.rs` in nearcore).

use near_primitives::{
    account::{Account, AccountContract},
    action::{DeployGlobalContractAction, GlobalContractDeployMode, GlobalContractIdentifier},
    errors::ActionErrorKind,
    hash::hash,
    receipt::{GlobalContractDistributionReceipt, Receipt},
    trie_key::TrieKey,
    types::{AccountId, ShardId, StateChangeCause},
};
use near_vm_runner::ContractCode;

use super::{
    code::{precompile, replace_contract},
    result::ActionResult,
};
use crate::runtime::{
    amounts::{add_compute, add_tokens, count, len},
    block::Block,
    contracts::global_code_key,
    error::RuntimeError,
};

fn nonce_key(identifier: GlobalContractIdentifier) -> TrieKey {
    TrieKey::GlobalContractNonce { identifier: identifier.into() }
}

/// Burns the price of the code's storage and sends the code out in a receipt. Accounts can use it
/// once that receipt has been processed, which is in the next block.
pub(super) fn deploy(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    deploy: &DeployGlobalContractAction,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let per_byte = block.config.fees.storage_usage_config.global_contract_storage_amount_per_byte;
    let price = per_byte.saturating_mul(u128::from(len(&deploy.code)));
    let Some(left) = account.amount().checked_sub(price) else {
        let account_id = account_id.clone();
        result.fail(ActionErrorKind::LackBalanceForState { account_id, amount: price });
        return Ok(());
    };
    account.set_amount(left);
    result.tokens_burnt = add_tokens(result.tokens_burnt, price)?;
    let identifier = match deploy.deploy_mode {
        GlobalContractDeployMode::CodeHash => {
            GlobalContractIdentifier::CodeHash(hash(&deploy.code))
        }
        GlobalContractDeployMode::AccountId => {
            GlobalContractIdentifier::AccountId(account_id.clone())
        }
    };
    let key = nonce_key(identifier.clone());
    let nonce = block.update.get::<u64>(&key)?.unwrap_or_default().saturating_add(1);
    block.update.set(key, &nonce);
    let receipt = GlobalContractDistributionReceipt::new(
        identifier,
        ShardId::new(0),
        Vec::new(),
        deploy.code.clone(),
        nonce,
    );
    result
        .new_receipts
        .push(Receipt::new_global_contract_distribution(account_id.clone(), receipt));
    Ok(())
}

/// Makes the account use a global contract instead of its own.
pub(super) fn use_on(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    identifier: &GlobalContractIdentifier,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    if !block.update.contains(&global_code_key(identifier.clone())) {
        let identifier = identifier.clone();
        result.fail(ActionErrorKind::GlobalContractDoesNotExist { identifier });
        return Ok(());
    }
    let was_local = account.contract().is_local();
    let contract = match identifier {
        GlobalContractIdentifier::CodeHash(hash) => AccountContract::Global(*hash),
        GlobalContractIdentifier::AccountId(id) => AccountContract::GlobalByAccount(id.clone()),
    };
    replace_contract(block, account, account_id, contract, count(identifier.len()))?;
    if was_local {
        block.update.remove(TrieKey::ContractCode { account_id: account_id.clone() });
    }
    Ok(())
}

/// Stores the code that a deployment sent out, unless the code of a later one has arrived already.
pub(crate) fn distribute(
    block: &mut Block<'_>,
    receipt: &Receipt,
    distribution: &GlobalContractDistributionReceipt,
) -> Result<(), RuntimeError> {
    let identifier = distribution.id().clone();
    let key = nonce_key(identifier.clone());
    // The nonce was stored when the code was sent out, so an equal nonce is the newest.
    if distribution.nonce() < block.update.get::<u64>(&key)?.unwrap_or_default() {
        return Ok(());
    }
    block.update.set(key, &distribution.nonce());
    let code = distribution.code();
    block.update.set_raw(global_code_key(identifier), code.clone());
    let receipt_hash = receipt.get_hash();
    block.update.commit(&StateChangeCause::ReceiptProcessing { receipt_hash });
    // Compiling takes time of the block, although nobody pays gas for it here.
    let fees = &block.config.fees;
    let bytes = fees.deploy_global_contract_execution_per_byte.saturating_mul(len(code));
    let compute = fees.deploy_global_contract_execution_base.saturating_add(bytes);
    block.compute = add_compute(block.compute, compute)?;
    precompile(block, &ContractCode::new(code.to_vec(), None));
    Ok(())
}
