//! Results that are kept after settlement. Each is held for its payer by [`Pot::Results`], which
//! pays for its bytes until anyone removes it.

use near_sdk::env;
use outlayer_protocol::{KeptResult, RequestId};

use crate::{
    Contract, ContractError, Pot,
    store::{self, Prefix},
};

fn key(request_id: RequestId) -> Vec<u8> {
    store::key(Prefix::Result, &[&request_id.to_be_bytes()])
}

/// The result that is kept of a request.
pub(crate) fn find(request_id: RequestId) -> Option<KeptResult> {
    store::read(&key(request_id))
}

impl Contract {
    /// Keeps a result, and what is held of its request's deposit.
    pub(crate) fn keep_result(
        &mut self,
        request_id: RequestId,
        result: &KeptResult,
    ) -> Result<(), ContractError> {
        self.for_tenant(|_| store::write(&key(request_id), result));
        self.funds.shift(Pot::Deposits, Pot::Results, result.held)?;
        Ok(())
    }

    /// Removes a result that has been kept long enough, and pays what was held to its payer.
    pub(crate) fn drop_result(&mut self, request_id: RequestId) -> Result<(), ContractError> {
        let result = find(request_id).ok_or(ContractError::ResultNotKept { request_id })?;
        let (height, until) = (env::block_height(), result.kept_until);
        if height <= until {
            return Err(ContractError::ResultStillKept { request_id, height, until });
        }
        self.for_tenant(|_| store::remove(&key(request_id)));
        self.pay_out(Pot::Results, &result.payer, result.held)?;
        Ok(())
    }
}
