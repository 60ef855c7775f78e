//! Cancelling a request.

use near_sdk::{env, near};
use outlayer_protocol::{RequestId, machine::Input};

use crate::{Contract, ContractError, ContractExt};

#[near]
impl Contract {
    /// The account that the request names in `cancel_by` cancels a request that nobody has
    /// answered. Its callback settles it as `Cancelled`: free of charge while no worker has
    /// committed or claimed. After that, each worker that has committed, or one that has claimed,
    /// is paid a share without compute.
    ///
    /// # Errors
    /// [`ContractError`]: the request is not live, cannot be cancelled by this account or by
    /// anybody, is answered, or has expired.
    #[handle_result]
    pub fn cancel_execution(&mut self, request_id: RequestId) -> Result<(), ContractError> {
        let by = env::predecessor_account_id();
        let request = self.load_request(request_id)?;
        self.advance(request, Input::Cancel { by: &by, height: env::block_height() })?;
        Ok(())
    }
}
