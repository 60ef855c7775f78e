//! The registry of workers. What a registered worker has earned is kept with its counters, so that
//! an answer changes one entry. What one has earned that was removed, and what was earned under
//! layout 2, is in a ledger ([`crate::money`]), so that nobody loses it.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{Hash32, seats::Draw, views::WorkerView};

use crate::{
    Contract, ContractError, MoneyError, Pot,
    bounds::MAX_METADATA_BYTES,
    funds::add,
    money::EARNINGS,
    roster::slots,
    store::{self, Prefix},
};

/// A registered worker.
#[near(serializers = [borsh])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    /// Place in the list that is paged.
    pub(crate) position: u32,
    /// How many of its answers were settled.
    pub(crate) settled: u64,
    /// How many of its commitments were to digests that lost, or were not revealed in time.
    pub(crate) lost: u64,
    /// Whether the owner has suspended it, so that it may not answer.
    pub(crate) suspended: bool,
    /// What the owner has noted about it.
    pub(crate) metadata: String,
    /// The height at which it was registered, or allowed to work again. The workers of layout 2
    /// have none, and were registered before.
    #[borsh(deserialize_with = "store::or_default")]
    pub(crate) active_since: u64,
    /// How many of its claims it did not answer in time.
    #[borsh(deserialize_with = "store::or_default")]
    pub(crate) missed: u64,
    /// What it has earned since it was registered and not yet withdrawn, yoctoNEAR.
    #[borsh(deserialize_with = "store::or_default")]
    pub(crate) earned: NearToken,
}

/// How many workers are drawn at the most: one for each seat, and a successor. One worker alone is
/// not drawn.
pub(crate) fn most_drawn(seats: u8) -> u32 {
    if seats < 2 { 0 } else { 2 * u32::from(seats) }
}

/// The key of a worker's record.
pub(crate) fn key(worker_id: &[u8]) -> Vec<u8> {
    store::key(Prefix::Worker, &[worker_id])
}

fn find(worker_id: &AccountId) -> Option<Worker> {
    store::read(&key(worker_id.as_bytes()))
}

fn not_a_worker(worker_id: &AccountId) -> ContractError {
    ContractError::NotAWorker { found: worker_id.clone() }
}

/// Checks that an account may answer: it is registered and not suspended.
pub(crate) fn check_active(worker_id: &AccountId) -> Result<(), ContractError> {
    match find(worker_id) {
        None => Err(not_a_worker(worker_id)),
        Some(worker) if worker.suspended => {
            Err(ContractError::Suspended { found: worker_id.clone() })
        }
        Some(_) => Ok(()),
    }
}

/// Whether an account may answer a request of this block: it was active before it, so that nobody
/// registers workers for a request that they have seen.
pub(crate) fn is_active(worker_id: &AccountId) -> bool {
    let height = env::block_height();
    find(worker_id).is_some_and(|worker| !worker.suspended && worker.active_since < height)
}

/// Draws among workers that are active, for the seats and for their successors as far as there are
/// enough.
pub(crate) fn draw_among(workers: &[AccountId], seed: &Hash32, seats: u8) -> Vec<AccountId> {
    Draw::new(seed, u32::try_from(workers.len()).unwrap_or(0))
        .filter_map(|position| workers.get(usize::try_from(position).ok()?).cloned())
        .take(2 * usize::from(seats))
        .collect()
}

/// Changes the record of a registered worker.
pub(crate) fn update(
    worker_id: &AccountId,
    change: impl FnOnce(&mut Worker),
) -> Result<(), ContractError> {
    let mut worker = find(worker_id).ok_or_else(|| not_a_worker(worker_id))?;
    change(&mut worker);
    store::write(&key(worker_id.as_bytes()), &worker);
    Ok(())
}

/// What an account has earned.
pub(crate) fn earned(account_id: &AccountId) -> NearToken {
    let kept = find(account_id).map_or(NearToken::ZERO, |worker| worker.earned);
    EARNINGS.of(account_id).saturating_add(kept)
}

/// Takes out all that an account has earned.
pub(crate) fn take_earned(account_id: &AccountId) -> Result<NearToken, MoneyError> {
    let mut kept = NearToken::ZERO;
    // The only error is that the account is no registered worker.
    let _ = update(account_id, |worker| kept = std::mem::take(&mut worker.earned));
    add(Pot::Earnings, EARNINGS.empty(account_id), kept)
}

/// The workers that a call pays or counts. Each is read once, and written once at the end.
#[derive(Default)]
pub(crate) struct Touched(Vec<(AccountId, Option<Worker>)>);

impl Touched {
    fn get(&mut self, worker_id: &AccountId) -> Option<&mut Worker> {
        let known = self.0.iter().position(|(id, _)| id == worker_id);
        let index = known.unwrap_or_else(|| {
            self.0.push((worker_id.clone(), find(worker_id)));
            self.0.len().saturating_sub(1)
        });
        self.0.get_mut(index)?.1.as_mut()
    }

    /// Changes a worker's counters. A worker that was removed while its answer waited is paid all
    /// the same, but no longer counted.
    pub(crate) fn change(&mut self, worker_id: &AccountId, change: impl FnOnce(&mut Worker)) {
        if let Some(worker) = self.get(worker_id) {
            change(worker);
        }
    }

    /// Credits what a worker has earned.
    pub(crate) fn earn(
        &mut self,
        worker_id: &AccountId,
        amount: NearToken,
    ) -> Result<(), MoneyError> {
        match self.get(worker_id) {
            Some(worker) => worker.earned = add(Pot::Earnings, worker.earned, amount)?,
            None => EARNINGS.credit(worker_id, amount)?,
        }
        Ok(())
    }

    /// Writes all of them.
    pub(crate) fn save(&mut self) {
        for (worker_id, worker) in self.0.drain(..) {
            if let Some(worker) = worker {
                store::write(&key(worker_id.as_bytes()), &worker);
            }
        }
    }
}

/// A registered worker as views show it.
pub(crate) fn view(worker_id: &AccountId) -> Option<WorkerView> {
    let Worker { settled, lost, missed, suspended, metadata, .. } = find(worker_id)?;
    let (worker_id, earnings) = (worker_id.clone(), earned(worker_id));
    Some(WorkerView { worker_id, earnings, settled, lost, missed, suspended, metadata })
}

impl Contract {
    /// Registers a worker, or replaces the metadata of one that is registered.
    pub(crate) fn add_worker(
        &mut self,
        worker_id: &AccountId,
        metadata: String,
    ) -> Result<(), ContractError> {
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(ContractError::Metadata { found: metadata.len(), max: MAX_METADATA_BYTES });
        }
        if find(worker_id).is_some() {
            return update(worker_id, |worker| worker.metadata = metadata);
        }
        let position = self.roster.push(worker_id.as_bytes());
        let worker = Worker {
            position,
            settled: 0,
            lost: 0,
            suspended: false,
            metadata,
            active_since: env::block_height(),
            missed: 0,
            earned: NearToken::ZERO,
        };
        store::write(&key(worker_id.as_bytes()), &worker);
        self.roster.join(position);
        Ok(())
    }

    /// Suspends a worker, or lets it work again. One that may work again is drawn only for requests
    /// that are made later.
    pub(crate) fn suspend(
        &mut self,
        worker_id: &AccountId,
        suspended: bool,
    ) -> Result<(), ContractError> {
        let (mut position, mut was_suspended) = (0, false);
        update(worker_id, |worker| {
            (position, was_suspended) = (worker.position, worker.suspended);
            if was_suspended && !suspended {
                worker.active_since = env::block_height();
            }
            worker.suspended = suspended;
        })?;
        match (was_suspended, suspended) {
            (true, false) => self.roster.join(position),
            (false, true) => _ = self.roster.leave(position),
            _ => {}
        }
        Ok(())
    }

    /// Draws workers for the seats of a request, and as far as there are enough, a successor for
    /// each.
    pub(crate) fn draw_workers(
        &self,
        random_seed: &Hash32,
        seats: u8,
    ) -> Result<Vec<AccountId>, ContractError> {
        let drawn: Vec<AccountId> = Draw::new(random_seed, self.roster.drawable())
            .take(2 * usize::from(seats))
            .filter_map(|position| slots().get(position))
            .filter_map(|id| String::from_utf8(id).ok()?.parse().ok())
            .collect();
        if drawn.len() < usize::from(seats) {
            return Err(ContractError::TooFewWorkers { found: drawn.len(), needed: seats });
        }
        Ok(drawn)
    }

    /// Removes a worker. It keeps what it has earned.
    pub(crate) fn delete_worker(&mut self, worker_id: &AccountId) -> Result<(), ContractError> {
        let worker = find(worker_id).ok_or_else(|| not_a_worker(worker_id))?;
        EARNINGS.credit(worker_id, worker.earned)?;
        store::remove(&key(worker_id.as_bytes()));
        self.roster.remove(worker.position);
        Ok(())
    }

    /// A page of workers.
    pub(crate) fn page_workers(&self, from_index: u64, limit: u64) -> Vec<WorkerView> {
        let ids = slots().page(self.roster.registered, from_index, limit);
        ids.into_iter().filter_map(|id| view(&String::from_utf8(id).ok()?.parse().ok()?)).collect()
    }
}
