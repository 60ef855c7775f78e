//! Transfer, to an account that exists or to an implicit account, which the transfer creates
//! (`runtime/runtime/src/{lib,actions}.rs` in nearcore).

use near_crypto::PublicKey;
use near_primitives::{
    account::{AccessKey, Account, AccountContract, id::AccountType},
    chains,
    hash::CryptoHash,
    types::{AccountId, Balance},
};

use super::{accounts::empty_account, context::ReceiptContext, gas_keys, keys, universal};
use crate::runtime::{
    amounts::{add_tokens, count},
    block::Block,
    error::RuntimeError,
};

/// Adds the deposit to the account, or creates an implicit account that has it.
pub(super) fn apply(
    block: &mut Block<'_>,
    context: &ReceiptContext<'_>,
    account: &mut Option<Account>,
    deposit: Balance,
    is_refund: bool,
) -> Result<(), RuntimeError> {
    let account_id = context.receipt.receiver_id();
    let Some(account) = account.as_mut() else {
        // The actor stays the same: whoever creates the account may do nothing else with it.
        *account = Some(create_implicit(block, account_id, deposit)?);
        return Ok(());
    };
    let receipt = context.action_receipt;
    let is_gas_refund = is_refund && receipt.signer_id() == account_id;
    let key = receipt.signer_public_key();
    // A gas key gets back what it has paid.
    if is_gas_refund && gas_keys::refund(block, account_id, key, deposit)? {
        return Ok(());
    }
    account.set_amount(add_tokens(account.amount(), deposit)?);
    if is_gas_refund {
        refund_allowance(block, account_id, key, deposit)?;
    }
    Ok(())
}

/// Adds a refund for gas to the allowance of the key that paid for the gas.
fn refund_allowance(
    block: &mut Block<'_>,
    account_id: &AccountId,
    key: &PublicKey,
    deposit: Balance,
) -> Result<(), RuntimeError> {
    let Some(mut access_key) = block.update.access_key(account_id, key)? else {
        return Ok(());
    };
    let Some(permission) = access_key.permission.function_call_permission_mut() else {
        return Ok(());
    };
    let Some(allowance) = &mut permission.allowance else {
        return Ok(());
    };
    *allowance = allowance.saturating_add(deposit);
    block.update.set_access_key(account_id, key, &access_key);
    Ok(())
}

fn create_implicit(
    block: &mut Block<'_>,
    account_id: &AccountId,
    deposit: Balance,
) -> Result<Account, RuntimeError> {
    let mut account = empty_account(block, deposit);
    match account_id.get_account_type() {
        AccountType::NearImplicitAccount => {
            let public_key = PublicKey::from_near_implicit_account(account_id)
                .map_err(|error| RuntimeError::Inconsistent(format!("{account_id}: {error}")))?;
            let mut access_key = AccessKey::full_access();
            access_key.nonce = keys::first_nonce(block.ctx.height);
            let usage = keys::storage_usage(block, &public_key, &access_key);
            account.set_storage_usage(account.storage_usage() + usage);
            block.update.set_access_key(account_id, &public_key, &access_key);
        }
        AccountType::EthImplicitAccount => {
            let wallet = eth_wallet_hash(block.chain_id);
            let usage = account.storage_usage() + count(wallet.as_bytes().len());
            account = Account::new(deposit, Balance::ZERO, AccountContract::Global(wallet), usage);
        }
        AccountType::NearDeterministicAccount => {}
        AccountType::UniversalAccount => account = universal::uninitialized(block, deposit),
        AccountType::NamedAccount => {
            return Err(RuntimeError::Inconsistent(format!("{account_id} is not implicit")));
        }
    }
    Ok(account)
}

/// The hash of the wallet contract that an ETH-implicit account uses
/// (`runtime/near-wallet-contract/src/lib.rs` in nearcore). It is a global contract, which nobody
/// has deployed on a new chain.
fn eth_wallet_hash(chain_id: &str) -> CryptoHash {
    const MAINNET: &str = "2zodJZK2e4nnv5AqwCRnenNSmkikXhEd7PPY6BmfTmW4";
    const TESTNET: &str = "3PpYvRxBfC5BkZxTw8ZFG3D52w1ZRhvDDWirKoxphMDn";
    const LOCAL: &str = "FAq9tQRbwJPTV3PQLn2F7AUD3FW2Fw1V8ZeZuazfeu1v";
    let published = match chain_id {
        chains::MAINNET | chains::MOCKNET => MAINNET,
        chains::TESTNET => TESTNET,
        _ => LOCAL,
    };
    // Each constant is a valid hash, which the test below shows.
    published.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chain_has_a_wallet_contract_of_its_own() {
        let hashes = ["mainnet", "testnet", "sandbox-x"].map(eth_wallet_hash);
        assert!(hashes.iter().all(|hash| *hash != CryptoHash::default()));
        assert_eq!(hashes[2].to_string(), "FAq9tQRbwJPTV3PQLn2F7AUD3FW2Fw1V8ZeZuazfeu1v");
        assert_eq!(eth_wallet_hash("mocknet"), hashes[0]);
        assert_ne!(hashes[0], hashes[1]);
    }
}
