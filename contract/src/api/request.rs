//! Taking a request: it is checked, priced and kept, and the call yields.

use near_sdk::{FunctionError, env, near};
use outlayer_protocol::{
    ExecutionContext, ExecutionRequest, context::random_seed, events::Event, machine::LiveRequest,
    pricing::quote,
};

use crate::{
    Contract, ContractError, ContractExt, Pot, code,
    effects::emit,
    gas,
    promises::{self, CallbackArgs},
};

#[near]
impl Contract {
    /// Asks for an execution. The result of the call is the
    /// [`Settlement`](outlayer_protocol::Settlement), some blocks later, in JSON or borsh as the
    /// request says. The part of the deposit that is not used goes to the payer.
    ///
    /// # Panics
    /// With a [`ContractError`], when the request is not taken. The deposit goes back then.
    #[payable]
    pub fn request_execution(&mut self, request: ExecutionRequest) {
        // A `Result` would be returned in place of the yield's promise.
        if let Err(error) = self.accept(&request) {
            error.panic();
        }
    }
}

impl Contract {
    pub(crate) fn accept(&mut self, request: &ExecutionRequest) -> Result<(), ContractError> {
        if self.paused {
            return Err(ContractError::Paused);
        }
        let requester = env::predecessor_account_id();
        let payer = request.payer(&requester);
        if *payer == env::current_account_id() {
            return Err(ContractError::RefundToContract { found: payer.clone() });
        }
        gas::check_attached(gas::request(request, Some(payer)))?;
        request.validate(&self.config)?;
        let quote = quote(&self.config, request, env::storage_byte_cost())?;
        let attached = env::attached_deposit();
        if attached < quote.total {
            return Err(ContractError::Deposit {
                found: attached,
                needed: quote.total,
                max_fee: quote.max_fee,
                storage_reserve: quote.storage_reserve,
            });
        }
        if request.code.url.is_none() {
            code::require(&request.code.hash)?;
        }

        let request_id = self.next_request_id;
        self.next_request_id = request_id.checked_add(1).ok_or(ContractError::NoMoreIds)?;
        let callback = CallbackArgs {
            request_id,
            response_format: request.response_format,
            meter: request.limits.compute.meter(),
        };
        let data_id = promises::yield_execution(&callback, gas::settlement(request, Some(payer)))?;
        let context = ExecutionContext {
            request_id,
            contract_id: env::current_account_id(),
            block_height: env::block_height(),
            block_timestamp: env::block_timestamp(),
            epoch_height: env::epoch_height(),
            random_seed: random_seed(request_id, &env::random_seed_array()),
            signer_id: env::signer_account_id(),
            predecessor_id: requester.clone(),
            attached_deposit: attached,
        };
        let live = LiveRequest::accept(&self.config, request, context, quote, data_id)?;
        self.live_until = self.live_until.max(live.terms.sweep_from);
        self.funds.take_in(Pot::Deposits, attached)?;
        self.add_request(&live, &request.input);
        self.check_stake()?;
        emit(&Event::ExecutionRequested(Box::new((&live).into())));
        Ok(())
    }
}
