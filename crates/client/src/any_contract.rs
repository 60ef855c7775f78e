//! Any contract on the chain: its code, its state, and what one call of it did and burned.
//! OutLayer's own contract is asked through [`Contract`](crate::Contract).

use std::collections::BTreeMap;

use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::{
    query::{QueryResponseKind, RpcQueryError, RpcQueryResponse},
    transactions::{RpcTransactionError, TransactionInfo},
};
use near_primitives::{
    hash::CryptoHash,
    types::StoreKey,
    utils::{create_action_hash_from_receipt_id, create_random_seed},
    views::{
        ExecutionOutcomeWithIdView, ExecutionStatusView, FinalExecutionOutcomeView, QueryRequest,
        TxExecutionStatus,
    },
};
use outlayer_protocol::{AccountId, Hash32};

use crate::{
    At, Block, BlockId, ChainError, Node,
    node::{block_of, block_request, unexpected},
    outcome::failure,
    status::refused,
    text::clip,
    transport::CallError,
};

/// The largest state that is read, bytes of keys and values. A node that is not configured
/// otherwise shows at most 50 kB.
const MOST_STATE_BYTES: usize = 16 << 20;

/// What a method answered as a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewed {
    /// The block after which it ran.
    pub block: BlockId,
    /// What it returned, or why it failed.
    pub result: Result<Vec<u8>, String>,
    /// The lines that it logged; empty when it failed, because the node does not give them then.
    pub logs: Vec<String>,
}

/// One entry of the profile in which a node says what a receipt's gas was burned for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileEntry {
    /// Whether it is a fee for an action of a receipt that the contract made. Everything else is
    /// executing the contract: loading it, its instructions, and the host's functions.
    pub is_action: bool,
    /// The node's name for it, such as `WASM_INSTRUCTION` or `TOUCHING_TRIE_NODE`.
    pub cost: String,
    /// Units of gas.
    pub gas: u64,
}

/// The receipt of a call, as it was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReceipt {
    /// The receipt's id.
    pub receipt: CryptoHash,
    /// The block in which it was executed.
    pub block: Block,
    /// What the contract was told as its random seed.
    pub random_seed: Hash32,
    /// What the method returned, or why it failed. It is empty when another receipt returns in its
    /// place.
    pub result: Result<Vec<u8>, String>,
    /// The lines that it logged.
    pub logs: Vec<String>,
    /// What the receipt burned, units of gas: the fees for the receipt and its action, and what the
    /// contract burned.
    pub gas_burnt: u64,
    /// What the contract burned, by cost. Its sum is `gas_burnt` without the receipt's and the
    /// action's fees. Empty when the node keeps no profiles.
    pub profile: Vec<ProfileEntry>,
}

impl Node {
    /// The code of an account's contract, wherever it lies, and its SHA-256; `None` when the
    /// account does not exist or has no contract.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::Malformed`] when the code does not have the hash that the node
    /// gives for it.
    pub async fn contract_code(
        &self,
        account_id: &AccountId,
        at: At,
    ) -> Result<Option<(Hash32, Vec<u8>)>, ChainError> {
        let request = QueryRequest::ViewCode { account_id: account_id.clone() };
        let view = match self.query(request, at).await {
            Ok(QueryResponseKind::ViewCode(view)) => view,
            Ok(_) => return Err(unexpected("view_code")),
            Err(CallError::Handler(
                RpcQueryError::UnknownAccount { .. } | RpcQueryError::NoContractCode { .. },
            )) => return Ok(None),
            Err(error) => return Err(refused("view_code", error, at)),
        };
        let hash = Hash32::of(&view.code);
        if hash.0 != view.hash.0 {
            let reason =
                format!("found code with SHA-256 {hash}, expected {}", Hash32(view.hash.0));
            return Err(ChainError::Malformed { method: "view_code".into(), reason });
        }
        Ok(Some((hash, view.code)))
    }

    /// Everything that a contract keeps in its state after a block.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::Refused`] when it is more than the node shows.
    pub async fn contract_state(
        &self,
        account_id: &AccountId,
        at: At,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ChainError> {
        let mut state = BTreeMap::new();
        let (mut after_key, mut bytes) = (None::<StoreKey>, 0usize);
        loop {
            let request = QueryRequest::ViewState {
                account_id: account_id.clone(),
                prefix: Vec::new().into(),
                after_key,
                limit: None,
                include_proof: false,
            };
            let view = match self.query(request, at).await {
                Ok(QueryResponseKind::ViewState(view)) => view,
                Ok(_) => return Err(unexpected("view_state")),
                Err(error) => return Err(refused("view_state", error, at)),
            };
            let before = state.len();
            for item in view.values {
                let (key, value) = (Vec::from(item.key), Vec::from(item.value));
                bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
                state.insert(key, value);
            }
            if bytes > MOST_STATE_BYTES {
                let limit = MOST_STATE_BYTES;
                return Err(ChainError::TooLarge { method: "view_state".into(), limit });
            }
            // A node that gives the same keys again would be asked for ever.
            if view.last_key.is_none() || state.len() == before {
                return Ok(state);
            }
            after_key = view.last_key;
        }
    }

    /// Calls a method as a view, and keeps its logs, or the words with which it failed.
    ///
    /// # Errors
    /// [`ChainError`]; a method that fails is no error.
    pub async fn view_with_logs(
        &self,
        contract: &AccountId,
        method: &str,
        args: Vec<u8>,
        at: At,
    ) -> Result<Viewed, ChainError> {
        let request = QueryRequest::CallFunction {
            account_id: contract.clone(),
            method_name: method.to_owned(),
            args: args.into(),
        };
        let request = methods::query::RpcQueryRequest { block_reference: at.reference(), request };
        match self.call(&request).await {
            Ok(RpcQueryResponse {
                kind: QueryResponseKind::CallResult(view),
                block_height: height,
                block_hash: hash,
            }) => Ok(Viewed {
                block: BlockId { height, hash },
                result: Ok(view.result),
                logs: view.logs,
            }),
            Ok(_) => Err(unexpected("call_function")),
            Err(CallError::Handler(RpcQueryError::ContractExecutionError {
                vm_error,
                block_height: height,
                block_hash: hash,
                ..
            })) => Ok(Viewed {
                block: BlockId { height, hash },
                result: Err(clip(&vm_error)),
                logs: Vec::new(),
            }),
            Err(error) => Err(refused("call_function", error, at)),
        }
    }

    /// The receipt of a transaction that is one call of a contract; `None` until it is executed.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::UnknownTransaction`] when the node does not have the
    /// transaction.
    pub async fn call_receipt(
        &self,
        hash: CryptoHash,
        signer_id: &AccountId,
    ) -> Result<Option<CallReceipt>, ChainError> {
        let request = methods::tx::RpcTransactionStatusRequest {
            transaction_info: TransactionInfo::TransactionId {
                tx_hash: hash,
                sender_account_id: signer_id.clone(),
            },
            wait_until: TxExecutionStatus::None,
        };
        let answer = match self.call(&request).await {
            Ok(answer) => answer,
            Err(CallError::Handler(RpcTransactionError::UnknownTransaction { .. })) => {
                return Err(ChainError::UnknownTransaction { hash });
            }
            Err(CallError::Handler(error)) => {
                let reason = clip(&error.to_string());
                return Err(ChainError::Refused { method: "tx".into(), reason });
            }
            Err(CallError::Chain(error)) => return Err(error),
        };
        let outcome = answer.final_execution_outcome.map(|outcome| outcome.into_outcome());
        let Some((view, result)) = outcome.as_ref().and_then(executed) else {
            return Ok(None);
        };
        let at = At::Hash(view.block_hash);
        let header = self.call(&block_request(at)).await;
        let random_value = header.as_ref().ok().map(|block| block.header.random_value);
        let block = block_of(header, at)?;
        let action = create_action_hash_from_receipt_id(&view.id, block.height, 0);
        let seed = create_random_seed(action, random_value.unwrap_or_default());
        let profile = view.outcome.metadata.gas_profile.iter().flatten();
        let profile = profile.map(|one| ProfileEntry {
            is_action: one.cost_category == "ACTION_COST",
            cost: clip(&one.cost),
            gas: one.gas_used.as_gas(),
        });
        Ok(Some(CallReceipt {
            receipt: view.id,
            block,
            random_seed: Hash32(seed.try_into().unwrap_or_default()),
            result,
            logs: view.outcome.logs.clone(),
            gas_burnt: view.outcome.gas_burnt.as_gas(),
            profile: profile.filter(|one| one.gas > 0).collect(),
        }))
    }
}

type Executed<'a> = (&'a ExecutionOutcomeWithIdView, Result<Vec<u8>, String>);

/// The receipt that the transaction became, and what came of it.
fn executed(outcome: &FinalExecutionOutcomeView) -> Option<Executed<'_>> {
    let id = outcome.transaction_outcome.outcome.receipt_ids.first()?;
    let view = outcome.receipts_outcome.iter().find(|one| one.id == *id)?;
    let result = match &view.outcome.status {
        ExecutionStatusView::SuccessValue(value) => Ok(value.clone()),
        ExecutionStatusView::SuccessReceiptId(_) => Ok(Vec::new()),
        ExecutionStatusView::Failure(error) => Err(failure(error)),
        ExecutionStatusView::Unknown => return None,
    };
    Some((view, result))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Answer, FakeNode};

    /// A node that answers every query with this.
    async fn node(answer: Value) -> (FakeNode, Node) {
        let fake = FakeNode::start(move |_, _| {
            let mut answer = answer.clone();
            answer["block_height"] = json!(1);
            answer["block_hash"] = json!(CryptoHash::default().to_string());
            Answer::Result(answer)
        })
        .await;
        let node = Node::new(&fake.config()).unwrap();
        (fake, node)
    }

    #[tokio::test]
    async fn code_is_believed_only_with_its_hash() {
        let code = b"\0asm";
        let hash = Hash32::of(code);
        let (_fake, honest) =
            node(json!({ "code_base64": "AGFzbQ==", "hash": CryptoHash(hash.0).to_string() }))
                .await;
        let id: AccountId = "c.near".parse().unwrap();
        let found = honest.contract_code(&id, At::Optimistic).await.unwrap();
        assert_eq!(found, Some((hash, code.to_vec())));
        let (_fake, liar) =
            node(json!({ "code_base64": "AGFzbQ==", "hash": CryptoHash([7; 32]).to_string() }))
                .await;
        let error = liar.contract_code(&id, At::Optimistic).await.unwrap_err();
        assert!(matches!(error, ChainError::Malformed { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_node_that_never_ends_a_state_is_not_asked_for_ever() {
        let (_fake, node) = node(json!({
            "values": [{ "key": "aw==", "value": "dg==" }], "last_key": "aw==",
        }))
        .await;
        let id: AccountId = "c.near".parse().unwrap();
        let state = node.contract_state(&id, At::Optimistic).await.unwrap();
        assert_eq!(state, BTreeMap::from([(b"k".to_vec(), b"v".to_vec())]));
    }
}
