//! The owner's registry of workers.

use near_sdk::{AccountId, near};

use crate::{Contract, ContractError, ContractExt, workers};

#[near]
impl Contract {
    /// Registers a worker, or replaces the metadata of one that is registered.
    ///
    /// # Errors
    /// [`ContractError`]: not the owner, metadata too long, no money of the contract's own for the bytes.
    #[handle_result]
    pub fn register_worker(
        &mut self,
        worker_id: AccountId,
        metadata: Option<String>,
    ) -> Result<(), ContractError> {
        self.check_owner()?;
        self.add_worker(&worker_id, metadata.unwrap_or_default())?;
        self.check_stake()
    }

    /// Removes a worker. What it has earned, and what a staged answer will earn it, stays its own.
    ///
    /// # Errors
    /// [`ContractError`]: not the owner, not registered.
    #[handle_result]
    pub fn remove_worker(&mut self, worker_id: AccountId) -> Result<(), ContractError> {
        self.check_owner()?;
        self.delete_worker(&worker_id)
    }

    /// Suspends a worker, or lets it work again. Its staged answers are settled as always.
    ///
    /// # Errors
    /// [`ContractError`]: not the owner, not registered.
    #[handle_result]
    pub fn suspend_worker(
        &mut self,
        worker_id: AccountId,
        suspended: bool,
    ) -> Result<(), ContractError> {
        self.check_owner()?;
        workers::update(&worker_id, |worker| worker.suspended = suspended)
    }
}
