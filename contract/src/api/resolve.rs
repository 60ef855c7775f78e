//! Answering a request: workers commit and submit, the yield's callback settles.

use near_sdk::{FunctionError, env, near};
use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId, ResponseFormat, ResponsePart, Settlement,
    limits::Meter,
    machine::{Body, Delivery, Input, LiveRequest, PartTaken},
    storage::StorageCheck,
};

use super::check_private;
use crate::{
    Contract, ContractError, ContractExt, namespace,
    promises::{self, CallbackArgs},
    requests, workers,
};

#[near]
impl Contract {
    /// A registered worker's answer; the argument is the borsh of an [`ExecutionResponse`].
    ///
    /// # Errors
    /// [`ContractError`]: no worker, no live request, too late, answered already, out of the request's limits, an outdated
    /// or held key, too few commitments.
    #[handle_result]
    pub fn resolve_execution(
        &mut self,
        #[serializer(borsh)] response: ExecutionResponse,
    ) -> Result<(), ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        let request = self.load_request(response.request_id)?;
        let (body, storage) = self.checked(&request, &response);
        let height = env::block_height();
        let input = Input::Resolve { worker_id: &worker_id, body, storage, height };
        self.advance(request, input)?;
        Ok(())
    }

    /// A part of a registered worker's answer that is too large for one transaction; the argument is the borsh of a
    /// [`ResponsePart`]. The last part submits the whole, as [`resolve_execution`](Self::resolve_execution) does. What is
    /// there already is taken again without effect. Whose turn it is: [`outlayer_protocol::upload`].
    ///
    /// # Errors
    /// [`ContractError`]: as for `resolve_execution`, out of order, another worker's turn, not the body that the first part
    /// said.
    #[handle_result]
    pub fn stage_response(
        &mut self,
        #[serializer(borsh)] part: ResponsePart,
    ) -> Result<(), ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        let request_id = part.request_id;
        let request = self.load_request(request_id)?;
        let taken = request.take_part(&worker_id, &part, env::block_height())?;
        let response;
        let step = match taken {
            PartTaken::Step(step) => step,
            PartTaken::Complete(complete) => {
                response = requests::complete(&complete).map_err(|error| ContractError::Body {
                    request_id,
                    reason: error.to_string(),
                })?;
                let (body, storage) = self.checked(complete.request(), &response);
                complete.submit(body, &storage)?
            }
        };
        self.carry_out(step)?;
        Ok(())
    }

    /// A registered worker's commitment to a digest, for requests that ask for several approvals: see
    /// [`commitment`](outlayer_protocol::record::commitment).
    ///
    /// # Errors
    /// [`ContractError`]: no worker, no live request, too late, committed already, not or no more asked for.
    #[handle_result]
    pub fn commit_execution(
        &mut self,
        request_id: RequestId,
        commitment: Hash32,
    ) -> Result<(), ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        let request = self.load_request(request_id)?;
        let input =
            Input::Commit { worker_id: &worker_id, hash: commitment, height: env::block_height() };
        self.advance(request, input)?;
        Ok(())
    }

    /// The yield's callback: settles, and returns the [`Settlement`] to the caller of `request_execution`.
    ///
    /// # Panics
    /// When it is called from outside.
    pub fn on_execution_response(
        &mut self,
        request_id: RequestId,
        response_format: ResponseFormat,
        meter: Meter,
    ) {
        let callback = CallbackArgs { request_id, response_format, meter };
        match self.settle(&callback) {
            Ok(settlement) => env::value_return(settlement),
            Err(error) => error.panic(),
        }
    }
}

impl Contract {
    /// The body that a response is, and whether it fits into the namespace now.
    fn checked<'a>(
        &self,
        request: &LiveRequest,
        response: &'a ExecutionResponse,
    ) -> (Body<'a>, StorageCheck) {
        // A node hashes at less than half the cost of Wasm.
        let output_hash = Hash32(env::sha256_array(&response.output.0));
        (Body { response, output_hash }, namespace::check(request.namespace(), response))
    }

    /// Settles by the promise's result, and gives the encoded settlement. A record that is gone was swept: no money moves.
    pub(crate) fn settle(&mut self, callback: &CallbackArgs) -> Result<Vec<u8>, ContractError> {
        check_private()?;
        let CallbackArgs { request_id, response_format, meter } = *callback;
        let settlement = match requests::find(request_id) {
            None => None,
            Some(request) => {
                let staged = requests::staged(&request);
                let delivery = match promises::resumed_with() {
                    Some(payload) => {
                        let check = |response| namespace::check(request.namespace(), response);
                        let staged = staged.as_ref().map(|response| (response, check(response)));
                        Delivery::Resumed { payload, staged }
                    }
                    None => Delivery::TimedOut { staged: staged.as_ref() },
                };
                self.advance(request, Input::Deliver(delivery))?
            }
        };
        Ok(encode(
            &settlement.unwrap_or_else(|| Settlement::gone(request_id, meter)),
            response_format,
        ))
    }
}

fn encode(settlement: &Settlement, format: ResponseFormat) -> Vec<u8> {
    let encoded = match format {
        ResponseFormat::Json => serde_json::to_vec(settlement).ok(),
        ResponseFormat::Borsh => borsh::to_vec(settlement).ok(),
    };
    // Neither fails: there is no map, and no collection longer than borsh can count.
    encoded.unwrap_or_default()
}
