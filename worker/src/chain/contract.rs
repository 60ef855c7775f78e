//! The OutLayer contract's views, typed.

use outlayer_protocol::{
    AccountId, Bytes, ExecutionRequest, Hash32, NearToken, RequestId,
    views::{
        CodeInfoView, ConfigView, CostView, FundsView, PendingView, RequestArgs, RequestView,
        WorkerView,
    },
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{At, ChainError, Node, transport::clip};

/// An OutLayer contract on a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Contract {
    node: Node,
    id: AccountId,
}

impl Contract {
    /// The contract `id` as `node` knows it.
    pub fn new(node: Node, id: AccountId) -> Self {
        Self { node, id }
    }

    /// Its account.
    pub fn id(&self) -> &AccountId {
        &self.id
    }

    /// The node behind it.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Calls a view with JSON arguments and reads its JSON result.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::Malformed`] when the result is no `T`.
    pub async fn view<T: DeserializeOwned>(
        &self,
        method: &str,
        args: serde_json::Value,
        at: At,
    ) -> Result<T, ChainError> {
        let result = self.node.view(&self.id, method, args.to_string().into_bytes(), at).await?;
        serde_json::from_slice(&result).map_err(|error| ChainError::Malformed {
            method: format!("{}.{method}", self.id),
            reason: clip(&format!("{error}, in {}", String::from_utf8_lossy(&result))),
        })
    }

    /// A live request with its input; `None` when there is none (it was settled, or never made).
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn request(
        &self,
        request_id: RequestId,
        at: At,
    ) -> Result<Option<RequestView>, ChainError> {
        self.view("get_request", json!({ "request_id": request_id }), at).await
    }

    /// Live requests, by place in the contract's list.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn pending(
        &self,
        from_index: u64,
        limit: u64,
        at: At,
    ) -> Result<Vec<PendingView>, ChainError> {
        let page: Vec<PendingView> = self
            .view("list_pending", json!({ "from_index": from_index, "limit": limit }), at)
            .await?;
        Ok(page)
    }

    /// All live requests, at most `most`, read at one block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn all_pending(&self, most: usize, at: At) -> Result<Vec<PendingView>, ChainError> {
        const PAGE: u64 = 100;
        let mut all: Vec<PendingView> = Vec::new();
        while all.len() < most {
            let page = self.pending(all.len() as u64, PAGE, at).await?;
            let last = (page.len() as u64) < PAGE;
            all.extend(page);
            if last {
                break;
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// A value of an account's namespace.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn storage_get(
        &self,
        account_id: &AccountId,
        key: &[u8],
        at: At,
    ) -> Result<Option<Vec<u8>>, ChainError> {
        let args = json!({ "account_id": account_id, "key": Bytes::from(key) });
        let value: Option<Bytes> = self.view("storage_get", args, at).await?;
        Ok(value.map(|value| value.0))
    }

    /// What is known of published code.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn code_info(
        &self,
        hash: &Hash32,
        at: At,
    ) -> Result<Option<CodeInfoView>, ChainError> {
        self.view("get_code_info", json!({ "hash": hash }), at).await
    }

    /// Part of published code.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn code(
        &self,
        hash: &Hash32,
        offset: u32,
        limit: u32,
        at: At,
    ) -> Result<Option<Vec<u8>>, ChainError> {
        let args = json!({ "hash": hash, "offset": offset, "limit": limit });
        let part: Option<Bytes> = self.view("get_code", args, at).await?;
        Ok(part.map(|part| part.0))
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn config(&self, at: At) -> Result<ConfigView, ChainError> {
        self.view("get_config", json!({}), at).await
    }

    /// The money that the contract holds, by purpose.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn funds(&self, at: At) -> Result<FundsView, ChainError> {
        self.view("get_funds", json!({}), at).await
    }

    /// What is owed to an account whose refunds bounced.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn claimable(&self, account_id: &AccountId, at: At) -> Result<NearToken, ChainError> {
        self.view("get_claimable", json!({ "account_id": account_id }), at).await
    }

    /// A registered worker.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn worker(
        &self,
        worker_id: &AccountId,
        at: At,
    ) -> Result<Option<WorkerView>, ChainError> {
        self.view("get_worker", json!({ "worker_id": worker_id }), at).await
    }

    /// The registered workers, at most `most`.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn workers(&self, most: usize, at: At) -> Result<Vec<WorkerView>, ChainError> {
        const PAGE: u64 = 100;
        let mut all: Vec<WorkerView> = Vec::new();
        while all.len() < most {
            let args = json!({ "from_index": all.len(), "limit": PAGE });
            let page: Vec<WorkerView> = self.view("list_workers", args, at).await?;
            let last = (page.len() as u64) < PAGE;
            all.extend(page);
            if last {
                break;
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// What a request must attach.
    ///
    /// # Errors
    /// [`ChainError`], [`ChainError::View`] for a request that the contract would not accept.
    pub async fn estimate(
        &self,
        request: &ExecutionRequest,
        at: At,
    ) -> Result<CostView, ChainError> {
        let args =
            serde_json::to_value(RequestArgs { request: request.clone() }).map_err(|error| {
                ChainError::Malformed { method: "estimate_cost".into(), reason: error.to_string() }
            })?;
        self.view("estimate_cost", args, at).await
    }
}
