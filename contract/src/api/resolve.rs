//! Answering a request: workers commit and submit, and the yield's callback settles.

use near_sdk::{FunctionError, env, near};
use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId, ResponseFormat, ResponsePart, Settlement,
    limits::Meter,
    machine::{Body, Delivery, Input, LiveRequest, PartTaken, Taken},
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
    /// A registered worker submits an answer. The argument is the borsh of an
    /// [`ExecutionResponse`]. An answer that writes a key that others read is told to wait, and
    /// should come again when they are settled.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not a worker; the request is not live, has expired or is
    /// answered already; the answer exceeds the request's limits; a key that it read has changed,
    /// or one that it touches is locked; or there are too few commitments.
    #[handle_result]
    pub fn resolve_execution(
        &mut self,
        #[serializer(borsh)] response: ExecutionResponse,
    ) -> Result<Taken, ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        let request = self.load_request(response.request_id)?;
        let (body, storage) = self.checked(&request, &response);
        let height = env::block_height();
        let input = Input::Resolve { worker_id: &worker_id, body, storage, height };
        let step = request.step(input)?;
        let taken = step.taken();
        self.carry_out(step)?;
        Ok(taken)
    }

    /// A registered worker sends a part of an answer that is too large for one transaction. The
    /// argument is the borsh of a [`ResponsePart`]. The last part submits the whole, as
    /// [`resolve_execution`](Self::resolve_execution) does. A part that is there already may come
    /// again, without effect. [`outlayer_protocol::upload`] has the rules of whose turn it is.
    ///
    /// # Errors
    /// [`ContractError`], as for `resolve_execution`; or the part is out of order, it is another
    /// worker's turn, or the body is not the one that its first part announced.
    #[handle_result]
    pub fn stage_response(
        &mut self,
        #[serializer(borsh)] part: ResponsePart,
    ) -> Result<Taken, ContractError> {
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
        let taken = step.taken();
        self.carry_out(step)?;
        Ok(taken)
    }

    /// A registered worker commits to a digest, for a request that asks for several approvals: see
    /// [`commitment`](outlayer_protocol::commitment::commitment).
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not a worker or has committed already; the request is not
    /// live, has expired, or takes no commitments, or no more of them.
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

    /// The yield's callback: settles the request, and returns the [`Settlement`] to the caller of
    /// `request_execution`.
    ///
    /// # Panics
    /// When another account calls it.
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
        // The host function costs less than half of what hashing in Wasm costs.
        let output_hash = Hash32(env::sha256_array(&response.output.0));
        (
            Body { response, output_hash },
            namespace::check(request.namespace(), response, Some(env::block_height())),
        )
    }

    /// Settles a request by the promise's result, and gives the encoded settlement. A request whose
    /// record is gone was swept, and no money moves.
    pub(crate) fn settle(&mut self, callback: &CallbackArgs) -> Result<Vec<u8>, ContractError> {
        check_private()?;
        let CallbackArgs { request_id, response_format, meter } = *callback;
        let settlement = match requests::find(request_id) {
            None => None,
            Some(request) => {
                let staged = requests::staged(&request);
                let delivery = match promises::resumed_with() {
                    Some(payload) => {
                        let check =
                            |response| namespace::check(request.namespace(), response, None);
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
    // Neither can fail: a settlement has no map, and no collection longer than borsh can count.
    encoded.unwrap_or_default()
}
