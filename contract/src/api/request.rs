//! Taking a request: it is checked, priced and kept, and the call yields.

use near_sdk::{FunctionError, env, near};
use outlayer_protocol::{
    ExecutionContext, ExecutionRequest, Hash32, OnRefusal, RequestId, Settlement,
    context::random_seed,
    events::Event,
    live_request::{LiveRequest, Pinned},
    pricing::{Quote, quote},
};

use crate::{
    Contract, ContractError, ContractExt, Funds, Pot, code,
    effects::emit,
    gas, names,
    promises::{self, CallbackArgs},
    secrets, workers,
};

/// A request that can be taken, with everything that taking it needs.
struct Admitted {
    quote: Quote,
    pinned: Pinned,
    /// The contract's books with the request's deposit.
    funds: Funds,
    /// The id of the request after this one.
    next_request_id: RequestId,
}

#[near]
impl Contract {
    /// Asks for an execution. The result of the call is the [`Settlement`], some blocks later, in
    /// JSON or borsh as the request says. The part of the deposit that is not used goes to the
    /// payer.
    ///
    /// A request that is not taken returns a settlement with the outcome `Refused` at once, and its
    /// deposit goes to the payer, if it says `on_refusal: "return"`.
    ///
    /// # Panics
    /// With a [`ContractError`], when the request is not taken and says nothing else. NEAR returns
    /// the deposit to the caller then.
    #[payable]
    pub fn request_execution(&mut self, request: ExecutionRequest) {
        // A `Result` would be returned in place of the yield's promise.
        match self.ask(&request) {
            Ok(None) => {}
            Ok(Some(refused)) => {
                env::value_return(promises::encode(&refused, request.response_format));
            }
            Err(error) => error.panic(),
        }
    }
}

impl Contract {
    /// Takes a request. Gives a settlement when it is refused and asks to be told so.
    pub(crate) fn ask(
        &mut self,
        request: &ExecutionRequest,
    ) -> Result<Option<Settlement>, ContractError> {
        match (self.accept(request), request.on_refusal) {
            (Ok(()), _) => Ok(None),
            (Err(error), OnRefusal::Panic) => Err(error),
            (Err(error), OnRefusal::Return) => {
                let requester = env::predecessor_account_id();
                let payer = match request.payer(&requester) {
                    // It could not spend the money.
                    payer if *payer == env::current_account_id() => &requester,
                    payer => payer,
                };
                Self::pay_back(payer);
                Ok(Some(Settlement::refused(
                    error.code(),
                    error.to_string(),
                    request.limits.compute.meter(),
                    env::attached_deposit(),
                )))
            }
        }
    }

    /// Takes a request, or changes nothing.
    pub(crate) fn accept(&mut self, request: &ExecutionRequest) -> Result<(), ContractError> {
        let request_id = self.next_request_id;
        let random_seed = random_seed(request_id, &env::random_seed_array());
        let Admitted { quote, pinned, funds, next_request_id } =
            self.admit(request, &random_seed)?;
        let requester = env::predecessor_account_id();
        let payer = request.payer(&requester).clone();
        let context = ExecutionContext {
            request_id,
            contract_id: env::current_account_id(),
            block_height: env::block_height(),
            block_timestamp: env::block_timestamp(),
            epoch_height: env::epoch_height(),
            random_seed,
            signer_id: env::signer_account_id(),
            predecessor_id: requester,
            attached_deposit: env::attached_deposit(),
        };
        // The yield is not made yet, because nothing may be refused after that.
        let no_yield = Hash32([0; 32]);
        let config = &self.config;
        let mut live = LiveRequest::accept(config, request, pinned, context, quote, no_yield)?;
        let callback = CallbackArgs {
            request_id,
            response_format: request.response_format,
            meter: request.limits.compute.meter(),
        };
        let gas = gas::settlement(request, Some(&payer), live.claims.is_some());
        live.data_id = promises::yield_execution(&callback, gas);

        self.next_request_id = next_request_id;
        self.funds = funds;
        self.live_until = self.live_until.max(live.terms.sweep_from);
        self.add_request(&live, &request.input);
        emit(&Event::ExecutionRequested(Box::new((&live).into())));
        Ok(())
    }

    /// Checks everything for which a request can be refused.
    fn admit(
        &self,
        request: &ExecutionRequest,
        random_seed: &Hash32,
    ) -> Result<Admitted, ContractError> {
        if self.paused {
            return Err(ContractError::Paused);
        }
        let requester = env::predecessor_account_id();
        let payer = request.payer(&requester);
        if *payer == env::current_account_id() {
            return Err(ContractError::RefundToContract { found: payer.clone() });
        }
        gas::check_attached(gas::request(self, request, Some(payer)))?;
        request.validate(&self.config)?;
        let (contract, signer) = (env::current_account_id(), env::signer_account_id());
        let ids = [&contract, &signer, &requester, payer].map(|id| id.as_bytes().len() as u64);
        let (id_bytes, byte_cost) = (ids.iter().sum(), env::storage_byte_cost());
        let quote = quote(&self.config, request, Some(payer), id_bytes, byte_cost)?;
        let attached = env::attached_deposit();
        if attached < quote.total {
            return Err(ContractError::Deposit {
                found: attached,
                needed: quote.total,
                max_fee: quote.max_fee,
                storage_reserve: quote.storage_reserve,
            });
        }
        let (code, code_name) = names::pin(&request.code)?;
        if code.url.is_none() {
            code::check(&code.hash)?;
        }
        let secrets = secrets::pin(request, code.hash, &requester)?;
        let drawn = match (request.seats(), &secrets) {
            (1, _) => Vec::new(),
            (seats, Some(secrets)) => workers::draw_among(&secrets.recipients, random_seed, seats),
            (seats, None) => self.draw_workers(random_seed, seats)?,
        };
        let pinned = Pinned { code, code_name, secrets, drawn };
        let next_request_id = self.next_request_id.checked_add(1);
        let next_request_id = next_request_id.ok_or(ContractError::NoMoreIds)?;
        // The bytes of a request are its payer's, so taking it leaves the contract's own as they
        // are.
        let mut funds = self.funds;
        funds.take_in(Pot::Deposits, attached)?;
        self.check_stake_with(&funds)?;
        Ok(Admitted { quote, pinned, funds, next_request_id })
    }
}
