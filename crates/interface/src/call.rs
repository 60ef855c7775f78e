//! Calls to OutLayer, and the callbacks that are chained to them.

use near_sdk::{AccountId, Gas, NearToken, PromiseIndex, env};
use outlayer_json::ToJson;
use outlayer_protocol::{Bytes, CodeSource, ExecutionRequest, OnRefusal, RequestId, methods};
use serde::Serialize;

/// Gas for `request_execution` when the caller names none. It pays for the call itself and for the
/// settlement's callback, whose gas is set aside when the request is made. It is more
/// than twice what a request with the default limits needs, so that one that uses a few keys of
/// storage has enough as well; [`Outlayer::estimate_gas`] says what another one needs.
const REQUEST_GAS: Gas = Gas::from_tgas(60);
/// Gas for any other call when the caller names none.
const OTHER_GAS: Gas = Gas::from_tgas(20);

/// Code by its name: `owner/name@version`, which is always the same code, or `owner/name`, whose
/// owner chooses it.
pub fn named(name: impl Into<String>) -> CodeSource {
    CodeSource::Named { name: name.into() }
}

/// A request with defaults for everything but the code and the input. The code is a
/// [`CodeRef`](crate::CodeRef), or [`named`]. `payer` is the account whose
/// money is attached, usually the one that called this contract.
///
/// Whatever comes back goes to the payer and not to this contract: what the request does not use,
/// and the whole deposit if OutLayer does not take the request. The callback then finds the outcome
/// [`Refused`](crate::Outcome::Refused).
pub fn request_for(
    payer: AccountId,
    code: impl Into<CodeSource>,
    input: impl Into<Bytes>,
) -> ExecutionRequest {
    ExecutionRequest {
        refund_to: Some(payer),
        on_refusal: OnRefusal::Return,
        ..ExecutionRequest::new(code, input)
    }
}

/// An OutLayer contract that is about to be called, with the deposit and gas of the call.
#[derive(Clone, Debug)]
pub struct Outlayer {
    account_id: AccountId,
    deposit: NearToken,
    gas: Option<Gas>,
}

impl Outlayer {
    pub(crate) fn new(account_id: AccountId) -> Self {
        Self { account_id, deposit: NearToken::from_yoctonear(0), gas: None }
    }

    /// Attaches a deposit. [`Self::estimate_cost`] says what a request needs.
    #[must_use]
    pub fn with_attached_deposit(self, deposit: NearToken) -> Self {
        Self { deposit, ..self }
    }

    /// Sets the gas of the call. A request with large limits needs more than the default;
    /// [`Self::estimate_gas`] says how much. For the largest outputs it is 456 Tgas in borsh and
    /// 606 Tgas in JSON, and the caller's own callback needs gas to decode the settlement.
    #[must_use]
    pub fn with_static_gas(self, gas: Gas) -> Self {
        Self { gas: Some(gas), ..self }
    }

    /// Asks for an execution. The result of the call is the [`Settlement`](crate::Settlement), some
    /// blocks later, which the callback reads with [`settlement`](crate::settlement()).
    ///
    /// Make the request with [`request_for`], so that no money stays in this contract.
    pub fn request_execution(self, request: &ExecutionRequest) -> Call {
        self.call(methods::REQUEST_EXECUTION, &About { request }, REQUEST_GAS)
    }

    /// Cancels a request that nobody has answered yet.
    pub fn cancel_execution(self, request_id: RequestId) -> Call {
        self.call_about(methods::CANCEL_EXECUTION, request_id)
    }

    /// Asks how a request ended that has its result kept. The callback reads an
    /// `Option<`[`KeptResult`](crate::KeptResult)`>` with [`result`](crate::result()).
    pub fn get_result(self, request_id: RequestId) -> Call {
        self.call_about(methods::GET_RESULT, request_id)
    }

    /// Removes a result whose time is over. What was held for it goes to the request's payer.
    pub fn remove_result(self, request_id: RequestId) -> Call {
        self.call_about(methods::REMOVE_RESULT, request_id)
    }

    /// Asks for the deposit that a request needs. The callback reads a
    /// [`CostView`](crate::protocol::views::CostView) with [`result`](crate::result()).
    pub fn estimate_cost(self, request: &ExecutionRequest) -> Call {
        self.call(methods::ESTIMATE_COST, &About { request }, OTHER_GAS)
    }

    /// Asks for the gas that a request needs. The callback reads a [`Gas`] with
    /// [`result`](crate::result()).
    pub fn estimate_gas(self, request: &ExecutionRequest) -> Call {
        self.call(methods::ESTIMATE_GAS, &About { request }, OTHER_GAS)
    }

    fn call_about(self, method: &str, request_id: RequestId) -> Call {
        #[derive(ToJson)]
        struct Args {
            request_id: RequestId,
        }
        self.call(method, &Args { request_id }, OTHER_GAS)
    }

    pub(crate) fn call_other(self, method: &str, args: &dyn ToJson) -> Call {
        self.call(method, args, OTHER_GAS)
    }

    fn call(self, method: &str, args: &dyn ToJson, default_gas: Gas) -> Call {
        let (args, gas) = (outlayer_json::to_vec(args), self.gas.unwrap_or(default_gas));
        Call(env::promise_create(self.account_id, method, args, self.deposit, gas))
    }
}

/// The arguments of the methods about a request that is not made yet.
#[derive(ToJson)]
struct About<'a> {
    request: &'a ExecutionRequest,
}

/// A call that is made when the current function returns.
#[derive(Debug)]
#[must_use]
pub struct Call(pub(crate) PromiseIndex);

impl Call {
    /// Chains a callback: `method` of the current contract, which gets the result of this call as
    /// its promise result, `args` in JSON, and no deposit. The method should be private.
    pub fn then(self, method: &str, args: &impl Serialize, gas: Gas) -> Self {
        let (account, nothing) = (env::current_account_id(), NearToken::from_yoctonear(0));
        Self(env::promise_then(self.0, account, method, to_json(args), nothing, gas))
    }

    /// Makes the result of this call that of the current function, whose caller then waits for it.
    pub fn return_to_caller(self) {
        env::promise_return(self.0);
    }

    /// Makes the call without waiting for its result.
    pub fn detach(self) {}
}

/// Joins calls. A [callback](Call::then) chained to the result runs when all of them have ended,
/// and finds their results in the order of the calls.
pub fn join(calls: impl IntoIterator<Item = Call>) -> Call {
    let promises: Vec<_> = calls.into_iter().map(|call| call.0).collect();
    Call(env::promise_and(&promises))
}

fn to_json(args: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(args)
        .unwrap_or_else(|error| env::panic_str(&format!("arguments that are no JSON: {error}")))
}
