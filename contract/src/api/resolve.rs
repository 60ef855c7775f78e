//! Answering a request: workers commit, reveal and submit, and the yield's callback settles.

use near_sdk::{AccountId, FunctionError, env, near};
use outlayer_protocol::{
    Bytes, ExecutionResponse, Hash32, RequestId, ResponseFormat, ResponsePart, Settlement,
    commitment::Salt,
    limits::Meter,
    machine::{Body, Delivery, Input, LiveRequest, PartTaken, Taken},
    response::Answer,
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
    /// A registered worker submits an answer. The argument is the borsh of an [`Answer`]. An answer
    /// that writes a key that others read is told to wait, and should come again when they are
    /// settled.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not a worker; the request is not live, has expired or is
    /// answered already; the answer exceeds the request's limits, or has another digest than the
    /// worker says; a key that it touches is locked, or one that it read has changed; or too few
    /// workers have revealed its digest.
    #[handle_result]
    pub fn resolve_execution(
        &mut self,
        #[serializer(borsh)] answer: Answer,
    ) -> Result<Taken, ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        self.resolve_one(&worker_id, &answer)
    }

    /// A registered worker submits answers to several requests, in one call. The argument is the
    /// borsh of a list of what [`resolve_execution`](Self::resolve_execution) takes. The result has
    /// an item for each answer, in their order: null when the answer was taken; `"wait"` when it is
    /// told to wait and should come again; or else the code with which `resolve_execution` would
    /// have refused it. One that is refused changes nothing, and the others are taken all the same.
    ///
    /// # Errors
    /// [`ContractError`] when the caller is not a worker or is suspended. When the call runs out of
    /// gas, no answer is taken.
    #[handle_result]
    pub fn resolve_many(
        &mut self,
        #[serializer(borsh)] answers: Vec<Answer>,
    ) -> Result<Vec<Option<&'static str>>, ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        let mut codes = Vec::with_capacity(answers.len());
        for answer in &answers {
            codes.push(match self.resolve_one(&worker_id, answer) {
                Ok(Taken::Staged | Taken::Pending) => None,
                Ok(Taken::Wait) => Some(Taken::WAIT),
                Err(error) => Some(error.code().as_str()),
            });
        }
        Ok(codes)
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

    /// A registered worker says that it executes a request that takes long, so that others leave it
    /// alone for a while: see [`outlayer_protocol::claims`].
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not a worker; the request is not live, has expired or is
    /// answered already, or takes no claims; or the caller has claimed it before, or too many
    /// others have.
    #[handle_result]
    pub fn claim_execution(&mut self, request_id: RequestId) -> Result<(), ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        let request = self.load_request(request_id)?;
        let height = env::block_height();
        self.advance(request, Input::Claim { worker_id: &worker_id, height })?;
        Ok(())
    }

    /// A registered worker commits to a digest, for a request that asks for several approvals: see
    /// [`commitment`](outlayer_protocol::commitment::commitment).
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not a worker; the request is not live, has expired, or asks
    /// for one approval; or the caller holds none of its seats.
    #[handle_result]
    pub fn commit_execution(
        &mut self,
        request_id: RequestId,
        round: u32,
        commitment: Hash32,
    ) -> Result<(), ContractError> {
        let worker_id = env::predecessor_account_id();
        workers::check_active(&worker_id)?;
        let request = self.load_request(request_id)?;
        let height = env::block_height();
        self.advance(request, Input::Commit { worker_id: &worker_id, round, commitment, height })?;
        Ok(())
    }

    /// A worker reveals the digest that it has committed to. It may be settled already: then the
    /// worker is paid for its execution at once, if the digest is the one that was settled.
    ///
    /// # Errors
    /// [`ContractError`]: the caller has not committed, or reveals something else than it has
    /// committed to; it is too early or too late.
    #[handle_result]
    pub fn reveal_execution(
        &mut self,
        request_id: RequestId,
        digest: Hash32,
        salt: Bytes,
    ) -> Result<(), ContractError> {
        let worker_id = &env::predecessor_account_id();
        let salt: &Salt =
            salt.0.as_slice().try_into().map_err(|_| ContractError::Salt { found: salt.len() })?;
        let height = env::block_height();
        if !self.reveal_late(request_id, worker_id, digest, salt, height)? {
            let request = self.load_request(request_id)?;
            self.advance(request, Input::Reveal { worker_id, digest, salt, height })?;
        }
        Ok(())
    }

    /// Anyone ends a request on which the workers cannot agree any more, or closes the open shares
    /// of one that is settled. An active worker is paid for it.
    ///
    /// # Errors
    /// [`ContractError`]: the request is neither live nor has open shares, or it is too early.
    #[handle_result]
    pub fn close(&mut self, request_id: RequestId) -> Result<(), ContractError> {
        let caller = env::predecessor_account_id();
        let closer = workers::check_active(&caller).is_ok().then_some(&caller);
        let height = env::block_height();
        if !self.advance_shares(request_id, &|shares| shares.close(closer, height))? {
            let request = self.load_request(request_id)?;
            self.advance(request, Input::Close { closer, height })?;
        }
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
    /// Takes an active worker's answer. When it is refused, nothing has changed.
    fn resolve_one(
        &mut self,
        worker_id: &AccountId,
        answer: &Answer,
    ) -> Result<Taken, ContractError> {
        let Answer { response, digest, salt } = answer;
        let (digest, salt, height) = (*digest, salt.as_ref(), env::block_height());
        // Another body was quicker, and is settled already. The reveal that came with this one
        // takes its share all the same.
        if let Some(salt) = salt
            && self.reveal_late(response.request_id, worker_id, digest, salt, height)?
        {
            return Ok(Taken::Staged);
        }
        let request = self.load_request(response.request_id)?;
        let (body, storage) = self.checked(&request, response);
        let input = Input::Resolve { worker_id, digest, salt, body, storage, height };
        let step = request.step(input)?;
        let taken = step.taken();
        self.carry_out(step)?;
        Ok(taken)
    }

    /// Takes a reveal for a request that is settled already, if it has open shares. Says whether it
    /// has.
    fn reveal_late(
        &mut self,
        request_id: RequestId,
        worker_id: &AccountId,
        digest: Hash32,
        salt: &Salt,
        height: u64,
    ) -> Result<bool, ContractError> {
        self.advance_shares(request_id, &|shares| shares.reveal(worker_id, digest, salt, height))
    }

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
        let settlement = match requests::find_stored(request_id) {
            None => None,
            Some(stored) => {
                let (staged, request) = (stored.staged(), stored.request);
                let delivery = match promises::resumed_with() {
                    Some(payload) => {
                        let check =
                            |response| namespace::check(request.namespace(), response, None);
                        let staged = staged.as_ref().map(|response| (response, check(response)));
                        Delivery::Resumed { payload, staged }
                    }
                    None => Delivery::TimedOut { staged: staged.as_ref() },
                };
                let height = env::block_height();
                self.advance(request, Input::Deliver { delivery, height })?
            }
        };
        Ok(promises::encode(
            &settlement.unwrap_or_else(|| Settlement::gone(request_id, meter)),
            response_format,
        ))
    }
}
