//! Global contracts: deployed once, used by any account
//! (`runtime/runtime/src/global_contracts.rs` in nearcore).

use super::super::amounts::{add_compute, add_tokens, count, len};
use super::super::block::Block;
use super::super::contracts::global_code_key;
use super::super::types::RuntimeError;
use super::code::{precompile, replace_contract};
use super::result::ActionResult;
use near_primitives::account::{Account, AccountContract};
use near_primitives::action::{
    DeployGlobalContractAction, GlobalContractDeployMode, GlobalContractIdentifier,
};
use near_primitives::errors::ActionErrorKind;
use near_primitives::hash::hash;
use near_primitives::receipt::{GlobalContractDistributionReceipt, Receipt};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{AccountId, ShardId, StateChangeCause};
use near_vm_runner::ContractCode;

fn nonce_key(identifier: GlobalContractIdentifier) -> TrieKey {
    TrieKey::GlobalContractNonce { identifier: identifier.into() }
}

/// Burns the price of the code's bytes and sends the code out. It can be used from the next block on.
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

/// Makes the account use a global contract in place of its own.
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

/// Stores the code that a deployment sent out, unless a later deployment has arrived before.
pub(in super::super) fn distribute(
    block: &mut Block<'_>,
    receipt: &Receipt,
    distribution: &GlobalContractDistributionReceipt,
) -> Result<(), RuntimeError> {
    let identifier = distribution.id().clone();
    let key = nonce_key(identifier.clone());
    // The nonce was stored when the code was sent out: the same one is fresh.
    if distribution.nonce() < block.update.get::<u64>(&key)?.unwrap_or_default() {
        return Ok(());
    }
    block.update.set(key, &distribution.nonce());
    let code = distribution.code();
    block.update.set_raw(global_code_key(identifier), code.clone());
    let receipt_hash = receipt.get_hash();
    block.update.commit(&StateChangeCause::ReceiptProcessing { receipt_hash });
    // What compiling takes of the block; nobody pays gas for it here.
    let fees = &block.config.fees;
    let bytes = fees.deploy_global_contract_execution_per_byte.saturating_mul(len(code));
    let compute = fees.deploy_global_contract_execution_base.saturating_add(bytes);
    block.compute = add_compute(block.compute, compute)?;
    precompile(block, &ContractCode::new(code.to_vec(), None));
    Ok(())
}
