//! Calls of workers that must agree, made by a test itself.

use near_workspaces::{Account, result::ExecutionFinalResult};
use outlayer_protocol::{
    Agreement, Bytes, ExecutionResponse, Hash32, RequestId,
    commitment::{Salt, commitment},
    machine::OpenShares,
    methods,
    response::Answer,
};
use serde_json::json;

use crate::{Error, Outlayer, Result, chain::executed, error::Asked as _};

/// The salt of the commitments that tests and liars make.
pub const SALT: Salt = [7; 16];

impl Outlayer {
    /// The agreement on a live request.
    ///
    /// # Errors
    /// When the request is not live, or one approval is enough for it.
    pub async fn agreement(&self, request_id: RequestId) -> Result<Agreement> {
        let live = self.live(request_id).await?;
        live.and_then(|live| live.request.agreement).ok_or_else(|| {
            let reason = format!("there is no agreement on request {request_id}");
            Error::answer(methods::GET_REQUEST, reason)
        })
    }

    /// The open shares of a settled request, if it has any.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn shares(&self, request_id: RequestId) -> Result<Option<OpenShares>> {
        self.view(methods::GET_SHARES, json!({ "request_id": request_id })).await
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
        self.commit_in(worker, request_id, 0, commitment).await
    }

    pub(crate) async fn commit_in(
        &self,
        worker: &Account,
        request_id: RequestId,
        round: u32,
        commitment: Hash32,
    ) -> Result<ExecutionFinalResult> {
        let args = json!({ "request_id": request_id, "round": round, "commitment": commitment });
        let call = worker.call(self.contract.id(), methods::COMMIT_EXECUTION);
        executed(call.args_json(args)).await
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
        let result = self.commit(worker, request_id, commitment).await?;
        let what = methods::COMMIT_EXECUTION;
        result.into_result().map_err(|failure| Error::call(what, failure))?;
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
        executed(call.args_json(args)).await
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
        executed(call).await
    }

    /// Closes a request on which no agreement is possible, or open shares.
    ///
    /// # Errors
    /// When the transaction cannot be sent. A refusal of the contract is in the result.
    pub async fn close(&self, by: &Account, request_id: RequestId) -> Result<ExecutionFinalResult> {
        let args = json!({ "request_id": request_id });
        let call = by.call(self.contract.id(), methods::CLOSE).args_json(args);
        executed(call).await
    }

    /// Submits `response` from `account`, with its digest.
    ///
    /// # Errors
    /// When the transaction cannot be sent. A refusal of the contract is not an error here, but in
    /// the result.
    pub async fn resolve(
        &self,
        account: &Account,
        response: &ExecutionResponse,
    ) -> Result<ExecutionFinalResult> {
        let digest = self.digest(response).await?;
        let answer = Answer { response: response.clone(), digest, salt: None };
        let call = account.call(self.contract.id(), methods::RESOLVE_EXECUTION).args_borsh(answer);
        call.gas(crate::DAPP_GAS).transact().await.asked(methods::RESOLVE_EXECUTION)
    }
}
