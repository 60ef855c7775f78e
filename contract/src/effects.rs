//! Carries out what the machine decides. Nothing is decided here.

use near_sdk::{AccountId, env};
use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId, Settlement,
    machine::{Effect, Input, LiveRequest, Step},
};

use crate::{Contract, ContractError, Pot, code, holds, namespace, promises, requests, workers};

/// What effects need to know of a request after the step has consumed it.
struct Subject<'a> {
    request_id: RequestId,
    namespace: AccountId,
    data_id: Hash32,
    published_code: Option<Hash32>,
    response: Option<&'a ExecutionResponse>,
    /// The part that was sent.
    part: &'a [u8],
    /// How many parts of a response were there before the step.
    parts: u32,
    /// Whether an answer is settled: who is paid for it has settled one more.
    answered: bool,
}

impl Contract {
    /// Takes the step that `input` makes of a request and carries it out. `response` is the body that the step stages, or
    /// that was staged before it. Gives the settlement when the step settles the request.
    pub(crate) fn advance(
        &mut self,
        request: LiveRequest,
        response: Option<&ExecutionResponse>,
        input: Input<'_>,
    ) -> Result<Option<Settlement>, ContractError> {
        let part: &[u8] = match &input {
            Input::Part { part, .. } => &part.bytes,
            _ => &[],
        };
        let mut subject = Subject {
            request_id: request.id(),
            namespace: request.namespace().clone(),
            data_id: request.data_id,
            published_code: request.code.url.is_none().then_some(request.code.hash),
            response,
            part,
            parts: request.upload.as_ref().map_or(0, |upload| upload.parts),
            answered: false,
        };
        match request.step(input)? {
            Step::Live(next, effects) => {
                self.for_tenant(|_| requests::save(&next));
                self.carry_out(&subject, effects)?;
                Ok(None)
            }
            Step::Settled(settlement, effects) => {
                subject.answered = settlement.digest.is_some();
                self.carry_out(&subject, effects)?;
                Ok(Some(settlement))
            }
        }
    }

    fn carry_out(
        &mut self,
        subject: &Subject<'_>,
        effects: Vec<Effect>,
    ) -> Result<(), ContractError> {
        effects.into_iter().try_for_each(|effect| self.carry_out_one(subject, effect))
    }

    fn carry_out_one(
        &mut self,
        subject: &Subject<'_>,
        effect: Effect,
    ) -> Result<(), ContractError> {
        let Subject { request_id, namespace, .. } = subject;
        let request_id = *request_id;
        let response = || subject.response.ok_or(ContractError::NoResponse { request_id });
        match effect {
            Effect::KeepPart(number) => {
                self.for_tenant(|_| requests::keep_part(request_id, number, subject.part));
            }
            Effect::DropParts(parts) => {
                self.for_tenant(|_| requests::drop_parts(request_id, parts));
            }
            Effect::Stage => {
                let response = response()?;
                self.for_tenant(|_| requests::stage(response));
            }
            Effect::Hold => {
                let response = response()?;
                self.for_tenant(|_| holds::hold(namespace, response));
            }
            Effect::Resume(payload) => {
                if !promises::resume(&subject.data_id, &payload) {
                    return Err(ContractError::YieldGone { request_id });
                }
            }
            Effect::ApplyJournal => {
                let response = response()?;
                self.for_tenant(|_| namespace::apply(namespace, &response.journal));
            }
            Effect::Delete => self.for_tenant(|contract| {
                if let Some(response) = subject.response {
                    holds::release(namespace, response);
                }
                if let Some(hash) = &subject.published_code {
                    code::release(hash);
                }
                contract.delete_request(request_id, subject.parts);
            }),
            Effect::PayWorker(worker_id, amount) => {
                self.earn(&worker_id, amount)?;
                let one = u64::from(subject.answered);
                count(&worker_id, |worker| worker.settled = worker.settled.saturating_add(one));
            }
            Effect::PayProtocol(amount) => {
                self.funds.shift(Pot::Deposits, Pot::Protocol, amount)?
            }
            Effect::Refund(payer, amount) => self.pay_out(Pot::Deposits, &payer, amount)?,
            Effect::CountLoss(worker_id) => {
                count(&worker_id, |worker| worker.lost = worker.lost.saturating_add(1))
            }
            Effect::Emit(event) => env::log_str(&event.to_log()),
        }
        Ok(())
    }
}

/// Changes a worker's count. One that was removed while its answer waited is paid all the same, and not counted.
fn count(worker_id: &AccountId, change: impl FnOnce(&mut workers::Worker)) {
    // The only error is that it is not registered.
    let _ = workers::update(worker_id, change);
}
