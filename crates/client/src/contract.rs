//! The OutLayer contract's views, with typed results.

use borsh::BorshDeserialize;
use outlayer_protocol::{
    AccountId, Agreement, Bytes, Claims, ExecutionRequest, ExecutionResponse, Hash32, KeptResult,
    NearToken, RequestId,
    claims::MOST_CLAIMS,
    index::{PendingEntry, PendingPage},
    machine::{LiveRequest, OpenShares},
    methods,
    views::{
        CodeInfoView, ConfigView, CostView, FundsView, RecentCodeView, RequestArgs, RequestState,
        RequestView, WorkerView,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{At, BlockId, ChainError, Node, text::clip};

/// How many ids are looked at in one view of the index. The contract's gas tests show that a node
/// executes a view in which each of them is a live request.
const INDEX_PAGE: usize = 2_000;
/// How many pages of the index are read at the most, so that no node keeps its reader for ever. A
/// full chain fills a sixth of them while two requests live one after the other; records that are
/// as large as can be take more.
const MOST_INDEX_PAGES: usize = 100;
/// How many requests' open shares are asked for in one view. The contract's gas tests show that a
/// node executes a view of so many.
const SHARES_PAGE: usize = 500;

/// How many requests are asked for in one view. Those with the largest inputs come in several
/// answers.
const REQUESTS_PAGE: usize = 100;

/// The index of live requests after one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingIndex {
    /// The block.
    pub block: BlockId,
    /// An entry for each live request, by ascending ids.
    pub entries: Vec<PendingEntry>,
    /// The id from which the index goes on; `None` when these are all of it.
    pub next_id: Option<RequestId>,
}

/// An OutLayer contract on a node. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Contract {
    node: Node,
    id: AccountId,
}

impl Contract {
    /// The contract on the account `id`, asked through `node`.
    pub fn new(node: Node, id: AccountId) -> Self {
        Self { node, id }
    }

    /// The contract's account.
    pub fn id(&self) -> &AccountId {
        &self.id
    }

    /// The node through which the contract is asked.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Calls a view with JSON arguments and parses its JSON result.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::Malformed`] when the result cannot be parsed as `T`.
    pub async fn view<T: DeserializeOwned>(
        &self,
        method: &str,
        args: Value,
        at: At,
    ) -> Result<T, ChainError> {
        let result = self.node.view(&self.id, method, args.to_string().into_bytes(), at).await?;
        serde_json::from_slice(&result).map_err(|error| ChainError::Malformed {
            method: format!("{}.{method}", self.id),
            reason: clip(&format!("{error}, in {}", String::from_utf8_lossy(&result))),
        })
    }

    /// Reads a list that a view gives by the page, at most `most` items of it.
    async fn list<T: DeserializeOwned>(
        &self,
        method: &str,
        most: usize,
        at: At,
    ) -> Result<Vec<T>, ChainError> {
        const PAGE: usize = 100;
        let mut all: Vec<T> = Vec::new();
        while all.len() < most {
            let args = json!({ "from_index": all.len(), "limit": PAGE });
            let page: Vec<T> = self.view(method, args, at).await?;
            if page.len() > PAGE {
                let found = format!("{} elements, expected at most {PAGE}", page.len());
                return Err(self.malformed(method, &found));
            }
            let last = page.len() < PAGE;
            all.extend(page);
            if last {
                break;
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// A live request with its input, or `None` when it has been settled or was never made.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn request(
        &self,
        request_id: RequestId,
        at: At,
    ) -> Result<Option<RequestView>, ChainError> {
        Ok(self.request_state(request_id, at).await?.live())
    }

    /// The same, and the block of which it is true: a node that lags shows an old one.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn request_in_block(
        &self,
        request_id: RequestId,
        at: At,
    ) -> Result<(BlockId, Option<RequestView>), ChainError> {
        let method = methods::GET_REQUEST;
        let args = json!({ "request_id": request_id }).to_string().into_bytes();
        let (block, result) = self.node.view_in_block(&self.id, method, args, at).await?;
        let state: RequestState =
            serde_json::from_slice(&result).map_err(|error| self.malformed(method, &error))?;
        Ok((block, state.live()))
    }

    /// A live request with its input, or whether it is settled or was never made.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn request_state(
        &self,
        request_id: RequestId,
        at: At,
    ) -> Result<RequestState, ChainError> {
        let method = methods::GET_REQUEST;
        let state = self.view(method, json!({ "request_id": request_id }), at).await?;
        if let RequestState::Live(view) = &state {
            self.check(method, request_id, &view.request)?;
        }
        Ok(state)
    }

    /// Checks that a record is of the request that was asked for, and that its lists are no longer
    /// than the contract lets them become: what decides by them may compare each with each.
    fn check(
        &self,
        method: &str,
        request_id: RequestId,
        request: &LiveRequest,
    ) -> Result<(), ChainError> {
        if request.id() != request_id {
            let found = format!("request {} for {request_id}", request.id());
            return Err(self.malformed(method, &found));
        }
        let claims = request.claims.as_ref();
        self.check_lists(method, request_id, claims, request.agreement.as_ref())
    }

    fn check_lists(
        &self,
        method: &str,
        request_id: RequestId,
        claims: Option<&Claims>,
        agreement: Option<&Agreement>,
    ) -> Result<(), ChainError> {
        let claims = claims.map_or(0, |claims| claims.made.len());
        let (drawn, votes, seats) = agreement.map_or((0, 0, 0), |agreement| {
            (agreement.drawn.len(), agreement.votes.len(), usize::from(agreement.seats))
        });
        if claims > MOST_CLAIMS || votes > seats || drawn > 2 * seats {
            let found = format!(
                "request {request_id} with {claims} claims, {drawn} workers drawn and {votes} \
                 votes, expected at most {MOST_CLAIMS}, {}, and {seats}",
                2 * seats
            );
            return Err(self.malformed(method, &found));
        }
        Ok(())
    }

    /// How a settled request ended, or `None` when no result is kept of it.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn result(
        &self,
        request_id: RequestId,
        at: At,
    ) -> Result<Option<KeptResult>, ChainError> {
        self.view(methods::GET_RESULT, json!({ "request_id": request_id }), at).await
    }

    /// The shares of a settled request that workers may still take, or `None` when none are open.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn shares(
        &self,
        request_id: RequestId,
        at: At,
    ) -> Result<Option<OpenShares>, ChainError> {
        let method = methods::GET_SHARES;
        let shares: Option<OpenShares> =
            self.view(method, json!({ "request_id": request_id }), at).await?;
        if let Some(shares) = &shares {
            if shares.request_id != request_id {
                let found = format!("the shares of {} for {request_id}", shares.request_id);
                return Err(self.malformed(method, &found));
            }
            self.check_lists(method, request_id, None, Some(&shares.agreement))?;
        }
        Ok(shares)
    }

    /// The response that is staged for a live request; `None` where none is.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn response(
        &self,
        request_id: RequestId,
        at: At,
    ) -> Result<Option<ExecutionResponse>, ChainError> {
        let method = methods::GET_RESPONSE;
        let args = json!({ "request_id": request_id }).to_string().into_bytes();
        let result = self.node.view(&self.id, method, args, at).await?;
        borsh::from_slice(&result).map_err(|error| self.malformed(method, &error))
    }

    /// Several live requests with their inputs as of one block, one for each of `request_ids` in
    /// their order. `None` means that the request has been settled or was never made.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn requests(
        &self,
        request_ids: &[RequestId],
        at: At,
    ) -> Result<Vec<Option<RequestView>>, ChainError> {
        let method = methods::GET_REQUESTS;
        let mut all = Vec::with_capacity(request_ids.len());
        while let Some(rest) = request_ids.get(all.len()..).filter(|rest| !rest.is_empty()) {
            let asked = rest.get(..REQUESTS_PAGE).unwrap_or(rest);
            let args = borsh::to_vec(asked).map_err(|error| self.malformed(method, &error))?;
            let result = self.node.view(&self.id, method, args, at).await?;
            let page: Vec<Option<RequestView>> =
                borsh::from_slice(&result).map_err(|error| self.malformed(method, &error))?;
            if page.is_empty() || page.len() > asked.len() {
                let found = format!("{} requests for {}", page.len(), asked.len());
                return Err(self.malformed(method, &found));
            }
            for (view, request_id) in page.into_iter().zip(asked) {
                all.push(match view {
                    Some(view) => {
                        self.check(method, *request_id, &view.request)?;
                        Some(view)
                    }
                    // It is over, or its record is from before the last migration.
                    None => self.request(*request_id, at).await?,
                });
            }
        }
        Ok(all)
    }

    /// The index of live requests as of one block, the first `most` of them.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn pending(&self, most: usize, at: At) -> Result<PendingIndex, ChainError> {
        self.pending_from(0, most, at).await
    }

    /// The same from the id `from_id` on.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn pending_from(
        &self,
        from_id: RequestId,
        most: usize,
        at: At,
    ) -> Result<PendingIndex, ChainError> {
        let method = methods::PENDING_INDEX;
        let mut entries: Vec<PendingEntry> = Vec::new();
        let (mut from_id, mut block) = (from_id, None);
        for page in 1.. {
            let args = json!({ "from_id": from_id, "limit": INDEX_PAGE }).to_string().into_bytes();
            // All pages are of the first page's block.
            let at = block.map_or(at, |block: BlockId| At::Hash(block.hash));
            let (answered, result) = self.node.view_in_block(&self.id, method, args, at).await?;
            let found: PendingPage =
                borsh::from_slice(&result).map_err(|error| self.malformed(method, &error))?;
            self.check_page(method, from_id, &found)?;
            let block = *block.get_or_insert(answered);
            entries.extend(found.entries);
            let beyond = entries.get(most).map(|entry| entry.request_id);
            entries.truncate(most);
            let next_id = beyond.or(found.next_id);
            match found.next_id {
                Some(next) if entries.len() < most && page < MOST_INDEX_PAGES => from_id = next,
                _ => return Ok(PendingIndex { block, entries, next_id }),
            }
        }
        Err(self.malformed(method, &"no page"))
    }

    /// Checks that a page of the index has what was asked for.
    fn check_page(
        &self,
        method: &str,
        from_id: RequestId,
        page: &PendingPage,
    ) -> Result<(), ChainError> {
        let ids = page.entries.iter().map(|entry| entry.request_id).chain(page.next_id);
        let ascends = ids.clone().is_sorted_by(|one, next| one < next);
        let moves = page.next_id.is_none_or(|next| next > from_id);
        if !ascends || !moves || ids.min().is_some_and(|id| id < from_id) {
            let found = format!("a page from {from_id} on with other ids, or in another order");
            return Err(self.malformed(method, &found));
        }
        for entry in &page.entries {
            self.check_lists(method, entry.request_id, entry.claims.as_ref(), None)?;
        }
        Ok(())
    }

    /// The open shares of settled requests as of one block, at most `most` of them.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn open_shares(
        &self,
        most: usize,
        at: At,
    ) -> Result<(BlockId, Vec<OpenShares>), ChainError> {
        let (method, page) = (methods::SHARES_INDEX, SHARES_PAGE);
        let (block, shares, _) = self.index::<OpenShares>(method, page, (0, most), at).await?;
        for one in &shares {
            self.check_lists(method, one.request_id, None, Some(&one.agreement))?;
        }
        Ok((block, shares))
    }

    /// A list in borsh as of one block, read in pages of `page` elements: at most `most` of them
    /// from the position `from` on. Says whether the list ends there.
    async fn index<T: BorshDeserialize>(
        &self,
        method: &str,
        page: usize,
        (from, most): (usize, usize),
        at: At,
    ) -> Result<(BlockId, Vec<T>, bool), ChainError> {
        let mut entries: Vec<T> = Vec::new();
        let mut block = None;
        loop {
            let limit = page.min(most.saturating_sub(entries.len()));
            let from_index = from.saturating_add(entries.len());
            let args = json!({ "from_index": from_index, "limit": limit });
            // What ends moves other elements, so all pages are of the first page's block.
            let at = block.map_or(at, |block: BlockId| At::Hash(block.hash));
            let args = args.to_string().into_bytes();
            let (answered, result) = self.node.view_in_block(&self.id, method, args, at).await?;
            let found: Vec<T> =
                borsh::from_slice(&result).map_err(|error| self.malformed(method, &error))?;
            if found.len() > limit {
                let found = format!("{} elements, expected at most {limit}", found.len());
                return Err(self.malformed(method, &found));
            }
            let block = *block.get_or_insert(answered);
            let ends = found.len() < limit;
            entries.extend(found);
            if ends || entries.len() >= most {
                return Ok((block, entries, ends));
            }
        }
    }

    fn malformed(&self, method: &str, reason: &impl std::fmt::Display) -> ChainError {
        ChainError::Malformed {
            method: format!("{}.{method}", self.id),
            reason: clip(&reason.to_string()),
        }
    }

    /// A value in an account's namespace, or `None` when the key is absent.
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
        let value: Option<Bytes> = self.view(methods::STORAGE_GET, args, at).await?;
        Ok(value.map(|value| value.0))
    }

    /// The size, publisher and state of published code, or `None` when nobody has published any of
    /// it.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn code_info(
        &self,
        hash: &Hash32,
        at: At,
    ) -> Result<Option<CodeInfoView>, ChainError> {
        self.view(methods::GET_CODE_INFO, json!({ "hash": hash }), at).await
    }

    /// The code that was published or named last, of the publications from the number `from` on.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn recent_code(&self, from: u64, at: At) -> Result<RecentCodeView, ChainError> {
        self.view(methods::RECENT_CODE, json!({ "from": from }), at).await
    }

    /// At most `limit` bytes of published code from `offset` on, or `None` when it is not
    /// published.
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
        let part: Option<Bytes> = self.view(methods::GET_CODE, args, at).await?;
        Ok(part.map(|part| part.0))
    }

    /// The contract's configuration and its owner.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn config(&self, at: At) -> Result<ConfigView, ChainError> {
        self.view(methods::GET_CONFIG, json!({}), at).await
    }

    /// The money that the contract holds, by purpose.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn funds(&self, at: At) -> Result<FundsView, ChainError> {
        self.view(methods::GET_FUNDS, json!({}), at).await
    }

    /// The refunds to an account that bounced and that it can claim.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn claimable(&self, account_id: &AccountId, at: At) -> Result<NearToken, ChainError> {
        self.view(methods::GET_CLAIMABLE, json!({ "account_id": account_id }), at).await
    }

    /// A registered worker, or `None` when the account is not registered.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn worker(
        &self,
        worker_id: &AccountId,
        at: At,
    ) -> Result<Option<WorkerView>, ChainError> {
        self.view(methods::GET_WORKER, json!({ "worker_id": worker_id }), at).await
    }

    /// The registered workers, at most `most` of them.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn workers(&self, most: usize, at: At) -> Result<Vec<WorkerView>, ChainError> {
        self.list(methods::LIST_WORKERS, most, at).await
    }

    /// What a request must attach.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::View`] for a request that the contract would refuse.
    pub async fn estimate(
        &self,
        request: &ExecutionRequest,
        at: At,
    ) -> Result<CostView, ChainError> {
        let args =
            serde_json::to_value(RequestArgs { request: request.clone() }).map_err(|error| {
                ChainError::Malformed {
                    method: methods::ESTIMATE_COST.into(),
                    reason: error.to_string(),
                }
            })?;
        self.view(methods::ESTIMATE_COST, args, at).await
    }
}
