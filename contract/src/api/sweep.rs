//! Refunding a request whose callback failed.

use near_sdk::{env, near};
use outlayer_protocol::{RequestId, Settlement, machine::Input};

use crate::{Contract, ContractError, ContractExt};

#[near]
impl Contract {
    /// Anyone refunds a request that is still live long after its deadline.
    ///
    /// # Errors
    /// [`ContractError`]: the request is not live, or it is too early.
    #[handle_result]
    pub fn sweep_expired(&mut self, request_id: RequestId) -> Result<Settlement, ContractError> {
        let stored = self.load_stored(request_id)?;
        let (staged, request) = (stored.staged(), stored.request);
        let input = Input::Sweep { staged: staged.as_ref(), height: env::block_height() };
        let settlement = self.advance(request, input)?;
        settlement.ok_or(ContractError::Settled { request_id })
    }
}
