//! View calls, which run a method without changing anything
//! (`runtime/runtime/src/state_viewer/mod.rs` in nearcore).

use std::{rc::Rc, sync::Arc};

use near_crypto::{KeyType, PublicKey};
use near_primitives::{
    account::Account,
    config::ViewConfig,
    hash::CryptoHash,
    types::{AccountId, Balance, Gas},
    utils::create_random_seed,
    version::ProtocolFeature,
};
use near_vm_runner::logic::{ReturnData, VMContext};

use super::{
    contracts::Call,
    conversions,
    error::ViewCallError,
    external::{CallExternal, receipt_manager},
    types::{BlockContext, ChainContext, ViewCallResult},
    update::StateUpdate,
};
use crate::state::{State, encode};

/// Runs a method on `state`, with `gas` if the node has a limit of its own. `ctx` describes the
/// block that left it so.
pub(super) fn call(
    chain: ChainContext<'_>,
    state: &State,
    ctx: &BlockContext,
    contract_id: &AccountId,
    method: &str,
    args: &[u8],
    gas: Option<Gas>,
) -> Result<ViewCallResult, ViewCallError> {
    let mut update = StateUpdate::new(state.clone());
    let Some(account) = update.account(contract_id)? else {
        return Err(ViewCallError::AccountDoesNotExist {
            requested_account_id: contract_id.clone(),
        });
    };
    let gas = gas.unwrap_or(chain.config.wasm_config.limit_config.max_gas_burnt);
    let view = ViewConfig { max_gas_burnt: gas };
    let contract = account.contract().into_owned();
    let vm_call = Call {
        config: chain.config,
        cache: chain.cache,
        account_id: contract_id,
        contract: &contract,
        method,
        gas,
        view: Some(view.clone()),
    };
    let prepared = vm_call.prepare(&update);
    let seed = create_random_seed(CryptoHash::default(), state.root());
    let context = vm_context(ctx, contract_id, &account, args, gas, view, seed);
    let mut external = CallExternal {
        update: &mut update,
        manager: receipt_manager(CryptoHash::default(), ctx.height),
        account_id: contract_id.clone(),
        validators: Arc::clone(&ctx.validators),
        chain_id: chain.chain_id,
        post_quantum: ProtocolFeature::PostQuantumSignatures.enabled(ctx.protocol_version),
        recorded_before: None,
    };
    let outcome = vm_call.run(prepared, &mut external, &context)?;
    if let Some(error) = outcome.aborted {
        return Err(ViewCallError::VmError {
            message: format!("wasm execution failed with error: {error:?}"),
            logs: outcome.logs,
            error: Some(conversions::function_call_error(error)),
        });
    }
    let result = match outcome.return_data {
        ReturnData::Value(value) => value,
        ReturnData::ReceiptIndex(_) | ReturnData::None => Vec::new(),
    };
    Ok(ViewCallResult { result, logs: outcome.logs, gas_burnt: outcome.burnt_gas })
}

/// The context of a view call. There is no signer, so the contract stands for every account.
fn vm_context(
    ctx: &BlockContext,
    contract_id: &AccountId,
    account: &Account,
    args: &[u8],
    gas: Gas,
    view: ViewConfig,
    random_seed: Vec<u8>,
) -> VMContext {
    VMContext {
        current_account_id: contract_id.clone(),
        signer_account_id: contract_id.clone(),
        signer_account_pk: encode(&PublicKey::empty(KeyType::ED25519)),
        predecessor_account_id: contract_id.clone(),
        refund_to_account_id: contract_id.clone(),
        input: Rc::from(args),
        promise_results: Arc::from([]),
        block_height: ctx.height,
        block_timestamp: ctx.timestamp,
        epoch_height: ctx.epoch_height,
        account_balance: account.amount(),
        account_locked_balance: account.locked(),
        storage_usage: account.storage_usage(),
        account_contract: account.contract().into_owned(),
        attached_deposit: Balance::ZERO,
        prepaid_gas: gas,
        random_seed,
        view_config: Some(view),
        output_data_receivers: Vec::new(),
    }
}
