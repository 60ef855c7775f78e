//! The registry of workers, which the owner keeps.

use near_sdk::{AccountId, near};
use outlayer_protocol::events::{Event, WorkerRegistered, WorkerRemoved, WorkerSuspended};

use crate::{Contract, ContractError, ContractExt, effects::emit};

#[near]
impl Contract {
    /// Registers a worker, or replaces the metadata of one that is registered.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, not exactly one yoctoNEAR is attached, the
    /// metadata is too long, or the contract's own money does not pay for the bytes.
    #[payable]
    #[handle_result]
    pub fn register_worker(
        &mut self,
        worker_id: AccountId,
        metadata: Option<String>,
    ) -> Result<(), ContractError> {
        self.check_owner()?;
        let metadata = metadata.unwrap_or_default();
        self.add_worker(&worker_id, metadata.clone())?;
        self.check_stake()?;
        emit(&Event::WorkerRegistered(WorkerRegistered { worker_id, metadata }));
        Ok(())
    }

    /// Removes a worker. It keeps what it has earned, and what its staged answers will earn.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, not exactly one yoctoNEAR is attached, or
    /// the worker is not registered.
    #[payable]
    #[handle_result]
    pub fn remove_worker(&mut self, worker_id: AccountId) -> Result<(), ContractError> {
        self.check_owner()?;
        self.delete_worker(&worker_id)?;
        emit(&Event::WorkerRemoved(WorkerRemoved { worker_id }));
        Ok(())
    }

    /// Suspends a worker, or lets it work again. Its staged answers are settled as always.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, not exactly one yoctoNEAR is attached, or
    /// the worker is not registered.
    #[payable]
    #[handle_result]
    pub fn suspend_worker(
        &mut self,
        worker_id: AccountId,
        suspended: bool,
    ) -> Result<(), ContractError> {
        self.check_owner()?;
        self.suspend(&worker_id, suspended)?;
        emit(&Event::WorkerSuspended(WorkerSuspended { worker_id, suspended }));
        Ok(())
    }
}
