//! Looks after what stays open of settled requests: reveals what this worker has committed to,
//! while reveals are taken, and closes the shares when they are not. What is left then returns to
//! the payer, and whoever closes is paid for it.
//!
//! The contract lists all open shares, so a worker that was stopped finds them again. A late reveal
//! needs no execution: the digest that was settled stands in the shares, and the salt of a
//! commitment to it follows from the worker's key.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use outlayer_client::{At, CallOutcome, ChainError};
use outlayer_protocol::{
    AccountId, RequestId, agreement::Stage, commitment::Salt, machine::OpenShares,
};
use tokio::task::JoinSet;

use super::{
    super::{services::Services, task::task},
    seat::{Seat, may_reveal},
};

/// How many requests' open shares are looked after at the most.
const MOST: usize = 5_000;
/// How many calls are made at once.
const AT_ONCE: usize = 16;
/// How many blocks pass between the first sight of open shares and a call, and between a call and
/// its first repetition: an attempt at the request may be making the same call, and the node may
/// lag. Each repetition waits twice as long as the one before it.
const REPEAT_BLOCKS: u64 = 3;
/// How many blocks a call is waited for. What becomes of it may not be known for much longer, and
/// the other shares wait for it.
const CALL_BLOCKS: u64 = 60;
/// How often the waiting time doubles at the most.
const MOST_DOUBLED: u32 = 10;

/// What is to do about the open shares of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing, now or ever.
    Nothing,
    /// Reveal the settled digest, with this salt.
    Reveal(Salt),
    /// Close the shares.
    Close,
}

/// Decides for the worker `seat.me`, whose salt of a commitment to the settled digest is `salt`.
/// Its process has the place `process` among those of the account.
fn next(shares: &OpenShares, seat: Seat<'_>, process: u64, salt: Salt, height: u64) -> Next {
    let agreement = &shares.agreement;
    if may_reveal(agreement, seat.me, &shares.digest, &salt, height) {
        return Next::Reveal(salt);
    }
    match place(shares, seat.me) {
        Some(place) => {
            // The processes of an account close one after the other, as those of workers do.
            let round = usize::try_from(process).unwrap_or(usize::MAX);
            let place = place.saturating_add(round.saturating_mul(agreement.drawn.len()));
            let turn = seat.turn(agreement.reveal_until(), place);
            match agreement.stage(height) == Stage::Over && height >= turn {
                true => Next::Close,
                false => Next::Nothing,
            }
        }
        None => Next::Nothing,
    }
}

/// The place of a worker in the order of those that close: who has revealed, in the order of their
/// commitments, then who let its time pass, then those that did not use their seats. Nobody else
/// closes, or all workers of the contract would at once.
fn place(shares: &OpenShares, me: &AccountId) -> Option<usize> {
    let agreement = &shares.agreement;
    let revealed = agreement.voters(|vote| vote.digest.is_some());
    let mut order = revealed.chain(agreement.voters(|vote| vote.digest.is_none()));
    let drawn = || agreement.drawn.iter().position(|id| id == me);
    order.position(|id| id == me).or_else(|| Some(agreement.votes.len().saturating_add(drawn()?)))
}

/// What was done about the open shares of one request.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// How often a call was made.
    calls: u32,
    /// The first height at which the next one may be made.
    not_before: u64,
}

impl Seen {
    fn after(calls: u32, height: u64) -> Self {
        let blocks = REPEAT_BLOCKS << calls.min(MOST_DOUBLED);
        Self { calls, not_before: height.saturating_add(blocks) }
    }
}

/// Looks after open shares for as long as the worker runs, after a pause. Losing what it remembers
/// costs a few blocks.
pub(crate) async fn watch(services: Arc<Services>, pause: Duration) {
    tokio::time::sleep(pause).await;
    let mut seen = HashMap::new();
    let mut failures: u32 = 0;
    loop {
        let poll = services.config.poll_interval;
        let wait = match look(&services, &mut seen).await {
            Ok(()) => {
                failures = 0;
                // Reveals are taken for some blocks only.
                if seen.is_empty() { poll * 4 } else { poll }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(%error, failures, "the open shares cannot be read");
                poll.max(services.config.backoff.wait(failures))
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn look(
    services: &Arc<Services>,
    seen: &mut HashMap<RequestId, Seen>,
) -> Result<(), ChainError> {
    let (block, open) = services.contract.open_shares(MOST, At::Optimistic).await?;
    let height = block.height;
    let seat = Seat { me: services.account.id(), step_in_blocks: services.config.step_in_blocks };
    let mine: Vec<_> = open.into_iter().filter(|one| place(one, seat.me).is_some()).collect();
    let ids: HashSet<_> = mine.iter().map(|one| one.request_id).collect();
    seen.retain(|id, _| ids.contains(id));
    let mut calls = Vec::new();
    for shares in mine {
        let (request_id, round) = (shares.request_id, shares.agreement.round);
        let salt = services.salts.salt(request_id, round, &shares.digest);
        let before = *seen.entry(request_id).or_insert_with(|| Seen::after(0, height));
        let process = services.config.replica.place(request_id);
        let next = next(&shares, seat, process, salt, height);
        if next != Next::Nothing && height >= before.not_before {
            seen.insert(request_id, Seen::after(before.calls.saturating_add(1), height));
            calls.push((shares, next));
        }
    }
    // A reveal has less time.
    calls.sort_by_key(|(_, next)| *next == Next::Close);
    let mut calls = calls.into_iter();
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((shares, next)) = calls.next()
        {
            let services = Arc::clone(services);
            running.spawn(task(async move {
                tokio::select! {
                    () = call(&services, &shares, next) => {}
                    () = services.reach(height.saturating_add(CALL_BLOCKS)) => {}
                }
            }));
        }
        if running.join_next().await.is_none() {
            return Ok(());
        }
    }
}

async fn call(services: &Services, shares: &OpenShares, next: Next) {
    let request = shares.request_id;
    let (what, called) = match next {
        Next::Nothing => return,
        Next::Reveal(salt) => {
            ("revealed late", services.reveal(request, &shares.digest, &salt).await)
        }
        Next::Close => ("closed the shares", services.close(request).await),
    };
    match called {
        Ok(CallOutcome { result: Ok(_), transaction, .. }) => {
            tracing::info!(request, %transaction, "{what}");
        }
        Ok(CallOutcome { result: Err(reason), .. }) => {
            tracing::debug!(request, %reason, "not {what}: others were quicker, or it is over");
        }
        Err(error) => tracing::warn!(request, %error, "not {what}"),
    }
}
