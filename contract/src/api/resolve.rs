//! Answering a request: workers commit and submit, the yield's callback settles.

use near_sdk::{FunctionError, env, near};
use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId, ResponseFormat, Settlement,
    limits::Meter,
    machine::{Input, Phase},
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
        let storage = namespace::check(request.namespace(), &response);
        let input = Input::Resolve {
            worker_id: &worker_id,
            response: &response,
            storage,
            height: env::block_height(),
        };
        self.advance(request, Some(&response), input)?;
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
        self.advance(request, None, input)?;
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
    /// Settles by the promise's result, and gives the encoded settlement. A record that is gone was swept: no money moves.
    pub(crate) fn settle(&mut self, callback: &CallbackArgs) -> Result<Vec<u8>, ContractError> {
        check_private()?;
        let CallbackArgs { request_id, response_format, meter } = *callback;
        let settlement = match requests::find(request_id) {
            None => None,
            Some(request) => {
                let staged = match request.phase {
                    Phase::Staged { .. } => requests::staged(request_id),
                    Phase::Pending | Phase::Cancelling => None,
                };
                let payload = promises::resumed_with();
                // After a timeout nothing is applied.
                let applied = staged.as_ref().filter(|_| payload.is_some());
                let checked =
                    applied.map(|body| (body, namespace::check(request.namespace(), body)));
                let input = Input::Deliver {
                    delivery: promises::delivery(payload.as_ref()),
                    staged: checked,
                };
                self.advance(request, staged.as_ref(), input)?
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
