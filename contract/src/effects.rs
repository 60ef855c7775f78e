//! Carries out what the machine decides. Nothing is decided here.

use near_sdk::env;
use outlayer_protocol::{
    KeptResult, RequestId, Settlement,
    events::Event,
    machine::{Effect, Input, LiveRequest, OpenShares, Phase, Purse, Refusal, SharesStep, Step},
};

use crate::{
    Contract, ContractError, Pot, change_fee, locks, namespace, promises, requests,
    workers::{Touched, Worker},
};

/// What is carried from one effect of a step to another.
#[derive(Default)]
struct Scratch {
    /// What is kept with the record of the response that was staged; `None` when none was.
    short_body: Option<Vec<u8>>,
    /// The workers that were paid or counted.
    workers: Touched,
}

impl Contract {
    /// Takes the step that `input` makes of a request and carries it out. Gives the settlement when
    /// the step settles the request.
    pub(crate) fn advance(
        &mut self,
        request: LiveRequest,
        input: Input<'_>,
    ) -> Result<Option<Settlement>, ContractError> {
        self.carry_out(request.step(input)?)
    }

    /// Carries out a step that was taken. Gives the settlement when the step settles the request.
    ///
    /// The effects come before the request's new state, because the first of them may fail: then
    /// nothing has changed, and a call may go on with another request.
    pub(crate) fn carry_out(
        &mut self,
        step: Step<'_>,
    ) -> Result<Option<Settlement>, ContractError> {
        let (next, settlement, effects) = match step {
            Step::Live(next, effects) => (Some(next), None, effects),
            Step::Settled(settlement, effects) => (None, Some(settlement), effects),
        };
        let mut scratch = Scratch::default();
        self.carry_out_all(effects, &mut scratch)?;
        if let Some(next) = next {
            self.for_tenant(|contract| {
                // A step of a request that has its answer leaves the answer where it is. One that
                // came in parts is not kept with the record.
                let body = match (scratch.short_body, &next.phase) {
                    (None, Phase::Staged { .. }) if next.upload.is_none() => {
                        contract.short_body(next.id())
                    }
                    (body, _) => body.unwrap_or_default(),
                };
                contract.save_request(&next, &body);
            });
        }
        Ok(settlement)
    }

    /// Takes a step of a request's open shares and carries it out. False when the request has none.
    pub(crate) fn advance_shares(
        &mut self,
        request_id: RequestId,
        step: &dyn Fn(OpenShares) -> Result<SharesStep, Refusal>,
    ) -> Result<bool, ContractError> {
        let Some(shares) = requests::shares(request_id) else {
            return Ok(false);
        };
        let effects = match step(shares)? {
            SharesStep::Open(shares, effects) => {
                self.for_tenant(|contract| contract.save_shares(&shares));
                effects
            }
            SharesStep::Closed(effects) => effects,
        };
        self.carry_out_all(effects, &mut Scratch::default())?;
        Ok(true)
    }

    fn carry_out_all(
        &mut self,
        effects: Vec<Effect<'_>>,
        scratch: &mut Scratch,
    ) -> Result<(), ContractError> {
        effects.into_iter().try_for_each(|effect| self.carry_out_one(effect, scratch))?;
        scratch.workers.save();
        Ok(())
    }

    fn carry_out_one(
        &mut self,
        effect: Effect<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), ContractError> {
        match effect {
            Effect::KeepPart { request_id, number, bytes } => {
                self.for_tenant(|_| requests::keep_part(request_id, number, bytes));
            }
            Effect::DropParts { request_id, parts } => {
                self.for_tenant(|_| requests::drop_parts(request_id, parts));
            }
            Effect::Stage(response) => {
                scratch.short_body = Some(self.for_tenant(|_| requests::stage(response)));
            }
            Effect::Lock { namespace, response } => {
                self.for_tenant(|_| locks::lock(&namespace, response));
            }
            Effect::CloseToReaders { request_id, locks } => {
                self.for_tenant(|_| locks::close(request_id, &locks));
            }
            Effect::Resume { request_id, data_id, payload } => {
                if !promises::resume(&data_id, &payload) {
                    return Err(ContractError::YieldGone { request_id });
                }
            }
            Effect::ApplyJournal { namespace, journal } => {
                self.for_tenant(|_| namespace::apply(&namespace, journal));
            }
            Effect::Delete {
                request_id,
                namespace,
                staged,
                closed_locks,
                parts,
                has_input,
                change_fee,
            } => {
                self.for_tenant(|contract| {
                    if let Some(response) = staged {
                        locks::unlock(&namespace, response);
                    }
                    locks::reopen(request_id, &closed_locks);
                    // In layout 2 a request did not raise it.
                    if request_id >= contract.former_requests {
                        change_fee::lower(&namespace, change_fee);
                    }
                    contract.delete_request(request_id, staged, has_input, parts);
                });
            }
            Effect::PayWorker(from, worker_id, amount) => {
                self.funds.shift(pot(from), Pot::Earnings, amount)?;
                scratch.workers.earn(&worker_id, amount)?;
            }
            Effect::CountSettled(worker_id) => {
                let count = |worker: &mut Worker| worker.settled = worker.settled.saturating_add(1);
                scratch.workers.change(&worker_id, count);
            }
            Effect::CountLoss(worker_id) => {
                let count = |worker: &mut Worker| worker.lost = worker.lost.saturating_add(1);
                scratch.workers.change(&worker_id, count);
            }
            Effect::CountMissed(worker_id) => {
                let count = |worker: &mut Worker| worker.missed = worker.missed.saturating_add(1);
                scratch.workers.change(&worker_id, count);
            }
            Effect::PayProtocol(from, amount) => {
                self.funds.shift(pot(from), Pot::Protocol, amount)?;
            }
            Effect::Refund(from, payer, amount) => self.pay_out(pot(from), &payer, amount)?,
            Effect::KeepShares(shares) => {
                self.funds.shift(Pot::Deposits, Pot::Shares, shares.held)?;
                self.for_tenant(|contract| contract.save_shares(&shares));
            }
            Effect::DropShares(request_id) => {
                self.for_tenant(|contract| contract.drop_shares(request_id));
            }
            Effect::KeepResult {
                request_id,
                settlement,
                output_hash,
                output_is_whole,
                payer,
                blocks,
                held,
            } => {
                let settled_at = env::block_height();
                let result = KeptResult {
                    settlement: *settlement,
                    output_hash,
                    output_is_whole,
                    payer,
                    settled_at,
                    kept_until: settled_at.saturating_add(blocks.into()),
                    held,
                };
                self.keep_result(request_id, &result)?;
            }
            Effect::Emit(event) => emit(&event),
        }
        Ok(())
    }
}

/// Emits an event.
pub(crate) fn emit(event: &Event) {
    env::log_str(&event.to_log());
}

fn pot(purse: Purse) -> Pot {
    match purse {
        Purse::Deposit => Pot::Deposits,
        Purse::Shares => Pot::Shares,
    }
}
