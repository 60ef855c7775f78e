//! Serves a request on which several workers must agree: execute, commit, reveal, and one of them
//! sends the body. [`seat`] decides what comes next, [`salt`] keeps the commitments secret, and
//! [`shares`] tidies up after it.
//!
//! Nothing is kept between two attempts. A worker that is started again executes again, on the same
//! snapshot, and so has the same digest, and the salt of its commitment.

pub(super) mod salt;
pub(super) mod seat;
pub(super) mod shares;

use outlayer_client::{At, BlockId, CallOutcome};
use outlayer_protocol::{
    Agreement, Hash32, RequestId,
    commitment::commitment,
    machine::{LiveRequest, Phase},
    methods,
    views::RequestView,
};
use serde_json::json;

use self::seat::{Mine, Next, Seat, may_reveal};
use super::{
    Stage,
    attempt::{self, Done, Executed, Opening, Preparing},
    error::ServeError,
    services::Services,
    stage::{
        confirm,
        submit::{
            self, Sent,
            refusal::{Advice, advice},
        },
    },
};

/// How many blocks pass before a call that was made is made again, should the chain not show what
/// came of it: the node may lag.
const REPEAT_BLOCKS: u64 = 3;

/// How many blocks pass until a process looks again at a request in which another process of its
/// account takes part.
const SHARED_BLOCKS: u64 = 10;

/// How many blocks an answered request is waited for: its yield has timed out by then.
const MOST_SETTLING: u32 = 420;

/// An attempt to serve a request.
struct Serving<'a> {
    services: &'a Services,
    preparing: &'a mut Preparing,
    request_id: RequestId,
    /// What the last execution gave.
    mine: Option<(Executed, Mine)>,
    /// The last call, and the height at which it was made.
    called: Option<(Next, u64)>,
}

/// Serves one request for as long as this worker has a part in it.
pub(super) async fn serve(
    services: &Services,
    request_id: RequestId,
    preparing: &mut Preparing,
) -> Result<Done, ServeError> {
    let mine = services.kept_executions().remove(&request_id).map(|kept| kept.0);
    let mut serving = Serving { services, preparing, request_id, mine, called: None };
    let ended = serving.run().await;
    // What was executed over HTTP is not executed again with the same digest.
    if ended.is_err()
        && let Some(mine) = serving.mine.take()
        && !mine.0.response.transcript.is_empty()
    {
        services.keep_execution(request_id, mine);
    }
    ended
}

impl Serving<'_> {
    /// Serves it to its end.
    async fn run(&mut self) -> Result<Done, ServeError> {
        let (services, request_id) = (self.services, self.request_id);
        let _waiting = services.await_final();
        let contract = &services.contract;
        // The look that found the request is no older than the request.
        let since = services.look().block.height;
        let mut took_part = false;
        // How many times the request was looked at while it waited for its settlement.
        let mut settling = 0;
        loop {
            let height = services.height().await?;
            let mut done = None;
            if let Some(view) = services.newest.get(request_id).await? {
                let request = view.request;
                let Some(agreement) = &request.agreement else {
                    return Ok(Done::Over);
                };
                took_part |= agreement.vote_of(services.account.id()).is_some();
                match &request.phase {
                    Phase::Pending if request.is_expired(height) => return Ok(Done::Expired),
                    Phase::Pending => match self.advance(&request, agreement, height).await? {
                        Next::Leave(until) => return Ok(Done::NotNow { until }),
                        Next::Wait => {}
                        // The chain has moved: look at once.
                        _ => continue,
                    },
                    // Somebody has answered, cancelled or closed it: there is nothing to reveal.
                    _ if !took_part => return Ok(Done::Over),
                    Phase::Staged { digest, .. } => {
                        self.reveal_settled(agreement, digest, height).await?;
                        settling += 1;
                    }
                    Phase::Cancelling | Phase::Disputing { .. } => settling += 1,
                }
                if settling >= MOST_SETTLING {
                    let phase = request.phase.name();
                    return Err(ServeError::Unsettled { phase, blocks: settling });
                }
            } else if let Some(shares) = contract.shares(request_id, At::Optimistic).await? {
                if self.reveal_settled(&shares.agreement, &shares.digest, height).await? {
                    continue;
                }
                took_part |= shares.agreement.vote_of(services.account.id()).is_some();
                // At an earlier height no reveal is taken yet: the shares are newer than it.
                if height >= shares.agreement.reveal_from() {
                    done = Some(if took_part { Done::Settled } else { Done::Over });
                }
            } else {
                done = Some(if took_part { Done::Settled } else { Done::Over });
            }
            // What only the newest block shows, a reorg may still replace.
            if let Some(done) = done
                && services.is_over_finally(request_id, since).await?
            {
                return Ok(done);
            }
            services.pause().await;
        }
    }

    /// Does what comes next about a request that waits for an answer. Returns what that was.
    async fn advance(
        &mut self,
        request: &LiveRequest,
        agreement: &Agreement,
        height: u64,
    ) -> Result<Next, ServeError> {
        let me = self.services.account.id();
        if let Some((_, mine)) = &mut self.mine
            && agreement.supporters(mine.digest).len() >= usize::from(agreement.approvals)
        {
            mine.agreed_since.get_or_insert(height);
        }
        let has_voted = agreement.vote_of(me).is_some();
        if self.mine.is_none() && has_voted && self.services.fleet.is_anothers(self.request_id) {
            // Another process of this account has committed, and only that one can reveal.
            return Ok(Next::Leave(Some(height.saturating_add(SHARED_BLOCKS))));
        }
        let seat = Seat { me, step_in_blocks: self.services.config.step_in_blocks };
        let next = seat.next(agreement, self.mine.as_ref().map(|(_, mine)| mine), height);
        if next == Next::Execute && request.http.is_some() && agreement.vote_of(me).is_some() {
            // Servers would answer something else than before this worker was started again. What
            // it has committed to is revealed when others settle it.
            return Ok(Next::Wait);
        }
        match next {
            Next::Leave(_) | Next::Wait => return Ok(next),
            Next::Execute => return self.execute(agreement, request.is_unprovable()).await,
            _ if !self.is_due(next, height) => return Ok(Next::Wait),
            _ => {}
        }
        match (next, &self.mine) {
            (Next::Commit, Some((_, mine))) => {
                self.while_live(request, self.commit(mine)).await?;
            }
            (Next::Reveal, Some((_, mine))) => {
                self.check_own(agreement, mine)?;
                self.reveal(agreement, &mine.digest).await?;
            }
            (Next::Submit { reveals }, Some((executed, mine))) => {
                if reveals {
                    self.check_own(agreement, mine)?;
                }
                let salt = reveals.then_some(mine.salt);
                let sent = submit::send(self.services, request, executed, salt);
                match self.while_live(request, sent).await?.unwrap_or(Sent::Over) {
                    Sent::Answered(called) if !self.is_taken(&called)? => {
                        // Another call may be refused again, and the reveal must not wait for that.
                        if let Some((_, mine)) = &mut self.mine {
                            mine.with_body = false;
                        }
                    }
                    // A body that must wait comes again, and then without the salt: its reveal
                    // counts.
                    Sent::Answered(_) | Sent::Wait | Sent::Over => {}
                }
            }
            (Next::Close, _) => {
                let closed = async { Ok(self.services.close(self.request_id).await?) };
                if let Some(called) = self.while_live(request, closed).await? {
                    self.is_taken(&called)?;
                }
            }
            // Without an execution, nothing else comes next.
            _ => return Ok(Next::Wait),
        }
        Ok(next)
    }

    /// Whether to make this call now. The same one was not made in the last few blocks, or it has
    /// not helped.
    fn is_due(&mut self, call: Next, height: u64) -> bool {
        let waits = self.called.is_some_and(|(called, at)| {
            called == call && height < at.saturating_add(REPEAT_BLOCKS)
        });
        if !waits {
            self.called = Some((call, height));
        }
        !waits
    }

    /// Executes on the round's snapshot, once the round stands in a block in which requests are
    /// looked for: in one that no reorg replaces where the guest reaches the network or is given
    /// secrets.
    async fn execute(
        &mut self,
        agreement: &Agreement,
        once_final: bool,
    ) -> Result<Next, ServeError> {
        let (services, request_id) = (self.services, self.request_id);
        let Agreement { round, snapshot_height, .. } = *agreement;
        let records = if once_final { &services.finals } else { &services.records };
        let view = records.get(request_id).await?;
        let is_same_round = |view: &RequestView| {
            view.request.agreement.as_ref().is_some_and(|found| {
                (found.round, found.snapshot_height) == (round, snapshot_height)
            })
        };
        let Some(view) = view.filter(is_same_round) else {
            return Ok(Next::Wait);
        };
        // What was executed in an earlier round counts for nothing, and takes memory for answers.
        if self.mine.take().is_some() {
            let reason = format!("round {round} has begun, as a key that was read has changed");
            tracing::info!(%reason, "executing again");
            services.tell(Stage::Again { request_id, reason });
        }
        let opened = match attempt::open(services, &view).await? {
            Opening::Done(opened) => opened,
            Opening::Never => return Ok(Next::Leave(None)),
        };
        let contract = services.contract_of(&view.request);
        let block = contract.node().block(At::Height(snapshot_height)).await?;
        let block = BlockId { height: block.height, hash: block.hash };
        let code = attempt::fetch(services, &view).await?;
        let executed =
            attempt::execute(services, &view, &code, opened.as_ref(), Some(block), self.preparing)
                .await?;
        let Some(executed) = executed else {
            return Ok(Next::Leave(None));
        };
        let digest = executed.digest;
        let salt = services.salts.salt(request_id, round, &digest);
        let with_body = submit::fits_one_call(&executed);
        let mine = Mine { round, digest, salt, with_body, agreed_since: None };
        self.mine = Some((executed, mine));
        Ok(Next::Execute)
    }

    /// What a call came to, or `None` once the request is not live any more. What became of a call
    /// may not be known for long, and then nothing depends on it.
    async fn while_live<T>(
        &self,
        request: &LiveRequest,
        call: impl Future<Output = Result<T, ServeError>>,
    ) -> Result<Option<T>, ServeError> {
        tokio::select! {
            biased;
            called = call => called.map(Some),
            () = confirm::gone(self.services, request) => Ok(None),
        }
    }

    async fn commit(&self, mine: &Mine) -> Result<(), ServeError> {
        let (services, request_id) = (self.services, self.request_id);
        let Mine { round, digest, salt, .. } = mine;
        let commitment = commitment(digest, services.account.id(), *round, salt);
        let args = json!({ "request_id": request_id, "round": round, "commitment": commitment });
        let args = args.to_string().into_bytes();
        let called = services.call(methods::COMMIT_EXECUTION, args).await?;
        if self.is_taken(&called)? {
            services.fleet.take(request_id);
            let transaction = called.transaction;
            tracing::info!(%transaction, round, "committed");
            services.tell(Stage::Committed { request_id, transaction });
        }
        Ok(())
    }

    /// Reveals the digest, as long as reveals are taken.
    async fn reveal(&self, agreement: &Agreement, digest: &Hash32) -> Result<(), ServeError> {
        let (services, request_id) = (self.services, self.request_id);
        let salt = services.salts.salt(request_id, agreement.round, digest);
        let called = tokio::select! {
            biased;
            called = services.reveal(request_id, digest, &salt) => called?,
            () = services.reach(agreement.reveal_until()) => return Ok(()),
        };
        if self.is_taken(&called)? {
            let transaction = called.transaction;
            tracing::info!(%transaction, %digest, "revealed");
            services.tell(Stage::Revealed { request_id, transaction });
        }
        Ok(())
    }

    /// Reveals the digest that others have settled, or are about to, if this worker has committed
    /// to it and has not revealed it. True when a reveal was sent.
    async fn reveal_settled(
        &mut self,
        agreement: &Agreement,
        digest: &Hash32,
        height: u64,
    ) -> Result<bool, ServeError> {
        let services = self.services;
        let salt = services.salts.salt(self.request_id, agreement.round, digest);
        if !may_reveal(agreement, services.account.id(), digest, &salt, height)
            || !self.is_due(Next::Reveal, height)
        {
            return Ok(false);
        }
        self.reveal(agreement, digest).await?;
        Ok(true)
    }

    /// Checks that the account's commitment is to this worker's digest.
    fn check_own(&self, agreement: &Agreement, mine: &Mine) -> Result<(), ServeError> {
        let me = self.services.account.id();
        let expected = commitment(&mine.digest, me, mine.round, &mine.salt);
        match agreement.vote_of(me) {
            Some(vote) if vote.commitment != expected => {
                Err(ServeError::OtherCommitment { found: vote.commitment, expected })
            }
            _ => Ok(()),
        }
    }

    /// Whether the contract took a call. What is refused because the request has moved on is no
    /// error: the next look shows how it stands.
    fn is_taken(&self, called: &CallOutcome) -> Result<bool, ServeError> {
        match &called.result {
            Ok(_) => Ok(true),
            Err(reason) if advice(reason) == Advice::Report => {
                Err(ServeError::Refused { reason: reason.clone() })
            }
            Err(reason) => {
                tracing::debug!(%reason, "the call was not taken");
                Ok(false)
            }
        }
    }
}
