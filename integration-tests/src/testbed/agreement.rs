//! Calls of workers that must agree, made by a test itself.

use anyhow::{Context, Result};
use near_workspaces::{Account, AccountId, result::ExecutionFinalResult};
use outlayer_protocol::{
    Agreement, Bytes, ExecutionResponse, Hash32, RequestId,
    commitment::{Salt, commitment},
    machine::OpenShares,
    methods,
    response::Answer,
    views::WorkerView,
};
use serde_json::json;

use super::{DAPP_GAS, Testbed};

/// The salt of the commitments that tests make themselves.
pub const SALT: Salt = [7; 16];

impl Testbed {
    /// Creates an account and registers it as a worker.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn new_worker(&self) -> Result<Account> {
        let worker = self.node.dev_create_account().await?;
        self.register_worker(worker.id()).await?;
        Ok(worker)
    }

    /// A registered worker, as the contract shows it.
    ///
    /// # Errors
    /// When the view fails, or the account is not registered.
    pub async fn worker_view(&self, worker_id: &AccountId) -> Result<WorkerView> {
        let args = json!({ "worker_id": worker_id });
        let view: Option<WorkerView> =
            self.contract.view(methods::GET_WORKER).args_json(args).await?.json()?;
        view.with_context(|| format!("{worker_id} is not registered"))
    }

    /// The agreement on a live request.
    ///
    /// # Errors
    /// When the request is not live, or one approval is enough for it.
    pub async fn agreement(&self, request_id: RequestId) -> Result<Agreement> {
        let live = self.live(request_id).await?;
        live.and_then(|live| live.request.agreement)
            .with_context(|| format!("there is no agreement on request {request_id}"))
    }

    /// The open shares of a settled request, if it has any.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn shares(&self, request_id: RequestId) -> Result<Option<OpenShares>> {
        let args = json!({ "request_id": request_id });
        Ok(self.contract.view(methods::GET_SHARES).args_json(args).await?.json()?)
    }

    /// Sends a commitment to the first round, whatever it is of.
    ///
    /// # Errors
    /// When the transaction cannot be sent. A refusal of the contract is in the result.
    pub async fn commit(
        &self,
        worker: &Account,
        request_id: RequestId,
        commitment: Hash32,
    ) -> Result<ExecutionFinalResult> {
        let args = json!({ "request_id": request_id, "round": 0, "commitment": commitment });
        let call = worker.call(self.contract.id(), methods::COMMIT_EXECUTION);
        Ok(call.args_json(args).gas(DAPP_GAS).transact().await?)
    }

    /// Commits to `digest` in the first round, with [`SALT`].
    ///
    /// # Errors
    /// When the transaction fails, or the contract refuses.
    pub async fn commit_to(
        &self,
        worker: &Account,
        request_id: RequestId,
        digest: Hash32,
    ) -> Result<()> {
        let commitment = commitment(&digest, worker.id(), 0, &SALT);
        self.commit(worker, request_id, commitment).await?.into_result()?;
        Ok(())
    }

    /// Reveals `digest` with [`SALT`].
    ///
    /// # Errors
    /// When the transaction cannot be sent. A refusal of the contract is in the result.
    pub async fn reveal(
        &self,
        worker: &Account,
        request_id: RequestId,
        digest: Hash32,
    ) -> Result<ExecutionFinalResult> {
        let salt = Bytes::from(SALT.as_slice());
        let args = json!({ "request_id": request_id, "digest": digest, "salt": salt });
        let call = worker.call(self.contract.id(), methods::REVEAL_EXECUTION);
        Ok(call.args_json(args).gas(DAPP_GAS).transact().await?)
    }

    /// Submits `response` together with the reveal of its digest.
    ///
    /// # Errors
    /// When the transaction cannot be sent. A refusal of the contract is in the result.
    pub async fn reveal_and_resolve(
        &self,
        worker: &Account,
        response: &ExecutionResponse,
    ) -> Result<ExecutionFinalResult> {
        let digest = self.digest(response).await?;
        let answer = Answer { response: response.clone(), digest, salt: Some(SALT) };
        let call = worker.call(self.contract.id(), methods::RESOLVE_EXECUTION).args_borsh(answer);
        Ok(call.gas(DAPP_GAS).transact().await?)
    }

    /// Closes a request on which no agreement is possible, or open shares.
    ///
    /// # Errors
    /// When the transaction cannot be sent. A refusal of the contract is in the result.
    pub async fn close(&self, by: &Account, request_id: RequestId) -> Result<ExecutionFinalResult> {
        let args = json!({ "request_id": request_id });
        let call = by.call(self.contract.id(), methods::CLOSE).args_json(args);
        Ok(call.gas(DAPP_GAS).transact().await?)
    }
}
