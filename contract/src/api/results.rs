//! Kept results: reading and removing them.

use near_sdk::near;
use outlayer_protocol::{KeptResult, RequestId};

use crate::{Contract, ContractError, ContractExt, results};

#[near]
impl Contract {
    /// How a settled request ended. `None` when it did not have its result kept, is not settled, or
    /// its result was removed.
    pub fn get_result(&self, request_id: RequestId) -> Option<KeptResult> {
        results::find(request_id)
    }

    /// Anyone removes a result whose time is over. What was held for its bytes goes to the payer.
    ///
    /// # Errors
    /// [`ContractError`]: no result is kept for the request, or its time is not over.
    #[handle_result]
    pub fn remove_result(&mut self, request_id: RequestId) -> Result<(), ContractError> {
        self.drop_result(request_id)
    }
}
