//! Taking a request back.

use near_sdk::{env, near};
use outlayer_protocol::{RequestId, machine::Input};

use crate::{Contract, ContractError, ContractExt};

#[near]
impl Contract {
    /// The requester or payer takes a request back that nobody has answered: its callback settles it as `Cancelled`.
    /// Free while no worker has committed, the base fee after that.
    ///
    /// # Errors
    /// [`ContractError`]: not live, somebody else's, answered, too late.
    #[handle_result]
    pub fn cancel_execution(&mut self, request_id: RequestId) -> Result<(), ContractError> {
        let by = env::predecessor_account_id();
        let request = self.load_request(request_id)?;
        self.advance(request, Input::Cancel { by: &by, height: env::block_height() })?;
        Ok(())
    }
}
