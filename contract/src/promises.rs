//! Promises. They are made with the functions of `env` alone, because `near_sdk::Promise` imports
//! host functions that networks before protocol version 85 do not have.

use near_sdk::{AccountId, FunctionError, Gas, NearToken, PromiseError, env};
use outlayer_json::ToJson;
use outlayer_protocol::{
    Hash32, Meter, RequestId, ResponseFormat, ResumePayload, Settlement, methods,
};

use crate::{ContractError, gas};

/// The arguments of `on_execution_response`: what it needs to return a result when the request's
/// record is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToJson)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct CallbackArgs {
    pub(crate) request_id: RequestId,
    pub(crate) response_format: ResponseFormat,
    pub(crate) meter: Meter,
}

/// The arguments of `on_refund`.
#[derive(Clone, Debug, PartialEq, Eq, ToJson)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct RefundArgs {
    pub(crate) account_id: AccountId,
    pub(crate) amount: NearToken,
}

/// Yields: the result of the current call will be that of `on_execution_response`. Gives the node's
/// name for the yield.
///
/// # Panics
/// When that name does not have 32 bytes: the promise is made already, and only a failing call
/// takes it back.
pub(crate) fn yield_execution(callback: &CallbackArgs, gas: Gas) -> Hash32 {
    let (promise, data_id) =
        node::yield_create(methods::ON_EXECUTION_RESPONSE, &outlayer_json::to_vec(callback), gas);
    env::promise_return(promise);
    let found = data_id.len();
    match data_id.try_into() {
        Ok(data_id) => Hash32(data_id),
        Err(_) => ContractError::DataId { found }.panic(),
    }
}

/// What `request_execution` returns.
pub(crate) fn encode(settlement: &Settlement, format: ResponseFormat) -> Vec<u8> {
    match format {
        ResponseFormat::Json => outlayer_json::to_vec(settlement),
        ResponseFormat::Borsh => outlayer_codec::to_vec(settlement),
    }
}

/// Resumes a yield. False when there is no such yield to resume.
pub(crate) fn resume(data_id: &Hash32, payload: &ResumePayload) -> bool {
    node::yield_resume(&data_id.0, &payload.encode())
}

/// What the yield was resumed with, in its callback; `None` when it timed out.
pub(crate) fn resumed_with() -> Option<Vec<u8>> {
    match env::promise_result_checked(0, ResumePayload::BYTES) {
        Ok(payload) => Some(payload),
        Err(PromiseError::Failed) => None,
        // This contract resumes with no longer payload. The machine takes an empty one for a
        // timeout.
        Err(_) => Some(Vec::new()),
    }
}

/// Sends money, and does not wait for the outcome. If the payment bounces, `on_refund` takes care
/// of it.
pub(crate) fn transfer(to: &AccountId, amount: NearToken) {
    let promise = env::promise_batch_create(to);
    env::promise_batch_action_transfer(promise, amount);
    let then = env::promise_batch_then(promise, &env::current_account_id());
    let args = outlayer_json::to_vec(&RefundArgs { account_id: to.clone(), amount });
    env::promise_batch_action_function_call(
        then,
        methods::ON_REFUND,
        &args,
        NearToken::ZERO,
        gas::ON_REFUND,
    );
}

/// Deploys new code and migrates the state, both or neither. The result of the current call is that
/// of the migration.
pub(crate) fn deploy(code: &[u8], code_hash: &Hash32) {
    let promise = env::promise_batch_create(&env::current_account_id());
    env::promise_batch_action_deploy_contract(promise, code);
    env::promise_batch_action_function_call(
        promise,
        methods::MIGRATE,
        &code_hash.0,
        NearToken::ZERO,
        gas::MIGRATE,
    );
    env::promise_return(promise);
}

/// In a callback of a payment: whether the payment arrived.
pub(crate) fn arrived() -> bool {
    !matches!(env::promise_result_checked(0, 0), Err(PromiseError::Failed))
}

/// The two host functions of yields. near-sdk's mock forgets a yield at the end of the receipt, so
/// tests have functions of their own.
#[cfg(not(test))]
mod node {
    use near_sdk::{Gas, GasWeight, PromiseIndex, env};

    const DATA_ID: u64 = 0;

    pub(super) fn yield_create(
        method: &str,
        arguments: &[u8],
        gas: Gas,
    ) -> (PromiseIndex, Vec<u8>) {
        let promise = env::promise_yield_create(method, arguments, gas, GasWeight(0), DATA_ID);
        (promise, env::read_register(DATA_ID).unwrap_or_default())
    }

    pub(super) fn yield_resume(data_id: &[u8; 32], payload: &[u8]) -> bool {
        env::promise_yield_resume(data_id, payload)
    }
}

#[cfg(test)]
use crate::tests::node;
