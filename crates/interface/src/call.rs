//! Calls to OutLayer and what is chained to them.

use near_sdk::{AccountId, Gas, NearToken, PromiseIndex, env};
use outlayer_protocol::{ExecutionRequest, RequestId, methods};
use serde::Serialize;

/// Gas for `request_execution` when the caller names none: the call itself, and the settlement's callback, which is
/// reserved when the request is made. Twice what a request with the default limits takes; OutLayer's view `estimate_gas` says
/// what another one needs.
const REQUEST_GAS: Gas = Gas::from_tgas(60);
/// Gas for the other calls when the caller names none.
const OTHER_GAS: Gas = Gas::from_tgas(20);

/// An OutLayer contract about to be called, with the deposit and gas of that call.
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

    /// Attaches a deposit, yoctoNEAR; a request needs what `estimate_cost` says.
    #[must_use]
    pub fn with_attached_deposit(self, deposit: NearToken) -> Self {
        Self { deposit, ..self }
    }

    /// Sets the call's gas. Requests with large limits need more than the default: the view `estimate_gas` says how much, for
    /// the largest outputs 456 Tgas in borsh and 606 in JSON, and the caller's own callback has to decode what comes back.
    #[must_use]
    pub fn with_static_gas(self, gas: Gas) -> Self {
        Self { gas: Some(gas), ..self }
    }

    /// Asks for an execution. The promise resolves with the [`Settlement`](crate::Settlement), some blocks later.
    pub fn request_execution(self, request: &ExecutionRequest) -> Call {
        #[derive(Serialize)]
        struct Args<'a> {
            request: &'a ExecutionRequest,
        }
        self.call(methods::REQUEST_EXECUTION, &Args { request }, REQUEST_GAS)
    }

    /// Takes a request back that nobody has answered yet.
    pub fn cancel_execution(self, request_id: RequestId) -> Call {
        #[derive(Serialize)]
        struct Args {
            request_id: RequestId,
        }
        self.call(methods::CANCEL_EXECUTION, &Args { request_id }, OTHER_GAS)
    }

    fn call(self, method: &str, args: &impl Serialize, default_gas: Gas) -> Call {
        let gas = self.gas.unwrap_or(default_gas);
        Call(env::promise_create(self.account_id, method, to_json(args), self.deposit, gas))
    }
}

/// A call that will be made when the current function returns.
#[derive(Debug)]
#[must_use]
pub struct Call(PromiseIndex);

impl Call {
    /// Calls `method` of the current contract with what this call gave, `args` as JSON and no deposit. The
    /// method should be private.
    pub fn then(self, method: &str, args: &impl Serialize, gas: Gas) -> Self {
        let (account, nothing) = (env::current_account_id(), NearToken::from_yoctonear(0));
        Self(env::promise_then(self.0, account, method, to_json(args), nothing, gas))
    }

    /// Makes this call's result the current function's result: its caller waits for it.
    pub fn return_to_caller(self) {
        env::promise_return(self.0);
    }

    /// Lets the call go: it is made, and nobody waits for its result here.
    pub fn detach(self) {}
}

/// Joins calls: [`Call::then`] on the result runs when all of them have resolved, each with a promise
/// result of its own, in order.
pub fn join(calls: impl IntoIterator<Item = Call>) -> Call {
    let promises: Vec<_> = calls.into_iter().map(|call| call.0).collect();
    Call(env::promise_and(&promises))
}

fn to_json(args: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(args)
        .unwrap_or_else(|error| env::panic_str(&format!("arguments that are no JSON: {error}")))
}
