//! Views of requests, workers, configuration and money.

use near_sdk::{AccountId, Gas, NearToken, env, near};
use outlayer_protocol::{
    ExecutionRequest, RequestId,
    index::{self, PendingPage},
    machine::OpenShares,
    pricing::quote,
    reserve::MOST_ID_BYTES,
    views::{ConfigView, CostView, FundsView, RequestState, RequestView, WorkerView},
};

use crate::{
    Contract, ContractError, ContractExt, gas, money::CLAIMABLE, names, requests, workers,
};

#[near]
impl Contract {
    /// The deposit that a request needs, and what it pays for. It is enough whoever asks: the
    /// reserve is that for the longest account ids, so a caller needs up to 0.00256 NEAR less. It
    /// is the same for all versions of a name, those to come too.
    ///
    /// # Errors
    /// The [`ContractError`] that the request itself would meet.
    #[handle_result]
    pub fn estimate_cost(&self, request: ExecutionRequest) -> Result<CostView, ContractError> {
        names::pin(&request.code)?;
        request.validate(&self.config)?;
        let (payer, byte_cost) = (request.refund_to.as_ref(), env::storage_byte_cost());
        Ok(quote(&self.config, &request, payer, MOST_ID_BYTES, byte_cost)?.into())
    }

    /// The gas that a request needs, which includes the gas for its settlement. Without `refund_to`
    /// it is what a caller with an implicit account needs; others need less.
    pub fn estimate_gas(&self, request: ExecutionRequest) -> Gas {
        gas::request(self, &request, request.refund_to.as_ref())
    }

    /// A live request with its input, or whether it is settled or was never made.
    pub fn get_request(&self, request_id: RequestId) -> RequestState {
        match requests::find(request_id) {
            Some(request) => {
                let input = requests::input(request_id);
                RequestState::Live(Box::new(RequestView { request, input }))
            }
            None if request_id < self.next_request_id => RequestState::Settled,
            None => RequestState::NeverMade,
        }
    }

    /// The response that is staged for a live request: the borsh of `Option<ExecutionResponse>`,
    /// which is read and not decoded. It is there between the answer and the callback, so that a
    /// replay finds it in the block before the settlement.
    pub fn get_response(&self, request_id: RequestId) {
        let stored = requests::find_stored(request_id);
        match stored.and_then(|stored| stored.staged_bytes()) {
            Some(staged) => env::value_return([&[1], &staged[..]].concat()),
            None => env::value_return([0]),
        }
    }

    /// Several live requests with their inputs: the borsh of a list of `Option<RequestView>`, one
    /// for each of `request_ids` in their order. `None` means that `get_request` must be asked: the
    /// request is not live, or its record is from before the last migration. The list ends early,
    /// after at least one item, when it has a mebibyte.
    pub fn get_requests(&self, #[serializer(borsh)] request_ids: Vec<RequestId>) {
        /// The result of a view may have 4 MiB, and one item less than 2.
        const MOST_BYTES: usize = 1 << 20;
        let mut list = vec![0; 4];
        let mut count = 0u32;
        for request_id in request_ids {
            requests::append_view(&mut list, request_id);
            count = count.saturating_add(1);
            if list.len() >= MOST_BYTES {
                break;
            }
        }
        list.splice(..4, count.to_le_bytes());
        env::value_return(list);
    }

    /// The shares of a settled request that workers may still take, or that can be closed. `None`
    /// when there are none.
    pub fn get_shares(&self, request_id: RequestId) -> Option<OpenShares> {
        requests::shares(request_id)
    }

    /// A page of the shares that are open: the borsh of a list of [`OpenShares`], which is read and
    /// not decoded. A worker that was stopped finds there what it may still reveal, and what can be
    /// closed. Whoever reads several pages asks all of them at one block, since the last entry
    /// takes the place of one that is closed.
    pub fn shares_index(&self, from_index: u64, limit: u64) {
        env::value_return(index::join(&self.page_shares(from_index, limit)));
    }

    /// A page of the index of live requests: the borsh of a [`PendingPage`] with those among up to
    /// `limit` ids from `from_id` on. Requests below the first live one take no time, those in
    /// between that are over do. Whoever reads several pages asks all of them at one block.
    pub fn pending_index(&self, from_id: RequestId, limit: u64) {
        env::value_return(outlayer_codec::to_vec(&self.page_pending(from_id, limit)));
    }

    /// A page of the index of live requests, in JSON.
    pub fn list_pending(&self, from_id: RequestId, limit: u64) -> PendingPage {
        self.page_pending(from_id, limit)
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
