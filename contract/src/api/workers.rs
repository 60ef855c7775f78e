//! The registry of workers, which the owner keeps.

use near_sdk::{AccountId, near};

use crate::{Contract, ContractError, ContractExt, workers};

#[near]
impl Contract {
    /// Registers a worker, or replaces the metadata of one that is registered.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, the metadata is too long, or the contract's
    /// own money does not pay for the bytes.
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

    /// Removes a worker. It keeps what it has earned, and what its staged answers will earn.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or the worker is not registered.
    #[handle_result]
    pub fn remove_worker(&mut self, worker_id: AccountId) -> Result<(), ContractError> {
        self.check_owner()?;
        self.delete_worker(&worker_id)
    }

    /// Suspends a worker, or lets it work again. Its staged answers are settled as always.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or the worker is not registered.
    #[handle_result]
    pub fn suspend_worker(
        &mut self,
        worker_id: AccountId,
        suspended: bool,
    ) -> Result<(), ContractError> {
        self.check_owner()?;
        workers::suspend(&worker_id, suspended)
    }
}
