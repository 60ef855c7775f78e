//! Views of requests, workers, configuration and money.

use near_sdk::{AccountId, Gas, NearToken, env, near};
use outlayer_protocol::{
    ExecutionRequest, RequestId,
    pricing::quote,
    reserve::MOST_ID_BYTES,
    views::{ConfigView, CostView, FundsView, PendingView, RequestView, WorkerView},
};

use crate::{Contract, ContractError, ContractExt, gas, money::CLAIMABLE, requests, workers};

#[near]
impl Contract {
    /// The deposit that a request needs, and what it pays for. It is enough whoever asks: the
    /// reserve is that for the longest account ids, so a caller needs up to 0.00256 NEAR less.
    ///
    /// # Errors
    /// The [`ContractError`] that the request itself would meet.
    #[handle_result]
    pub fn estimate_cost(&self, request: ExecutionRequest) -> Result<CostView, ContractError> {
        request.validate(&self.config)?;
        Ok(quote(&self.config, &request, MOST_ID_BYTES, env::storage_byte_cost())?.into())
    }

    /// The gas that a request needs, which includes the gas for its settlement. Without `refund_to`
    /// it is what a caller with an implicit account needs; others need less.
    pub fn estimate_gas(&self, request: ExecutionRequest) -> Gas {
        gas::request(&request, request.refund_to.as_ref())
    }

    /// A live request with its input. `None` when it was never made, or is settled.
    pub fn get_request(&self, request_id: RequestId) -> Option<RequestView> {
        requests::find(request_id)
            .map(|request| RequestView { request, input: requests::input(request_id) })
    }

    /// A page of the live requests. They are not in the order in which they were made: the last one
    /// takes the place of one that is settled.
    pub fn list_pending(&self, from_index: u64, limit: u64) -> Vec<PendingView> {
        self.page_requests(from_index, limit).map(|request| (&request).into()).collect()
    }

    /// The configuration, the owner, and whether the contract is paused.
    pub fn get_config(&self) -> ConfigView {
        ConfigView { owner_id: self.owner_id.clone(), paused: self.paused, config: self.config }
    }

    /// A registered worker; `None` when the account is not registered.
    pub fn get_worker(&self, worker_id: AccountId) -> Option<WorkerView> {
        workers::view(&worker_id)
    }

    /// A page of the registered workers.
    pub fn list_workers(&self, from_index: u64, limit: u64) -> Vec<WorkerView> {
        self.page_workers(from_index, limit)
    }

    /// The money that the contract holds, by purpose.
    pub fn get_funds(&self) -> FundsView {
        self.funds.view()
    }

    /// What an account may [`claim`](Self::claim): the payments to it that bounced.
    pub fn get_claimable(&self, account_id: AccountId) -> NearToken {
        CLAIMABLE.of(&account_id)
    }
}
