//! `EXPERIMENTAL_changes` and `EXPERIMENTAL_changes_in_block`.

use super::blocks::not_found;
use super::params::parse;
use super::{Answer, to_value};
use crate::chain::StoredBlock;
use crate::node::Node;
use near_jsonrpc_primitives::types::changes::{
    RpcStateChangesError, RpcStateChangesInBlockByTypeRequest,
    RpcStateChangesInBlockByTypeResponse, RpcStateChangesInBlockRequest,
    RpcStateChangesInBlockResponse,
};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{
    AccountId, BlockReference, RawStateChangesWithTrieKey, StateChanges, StateChangesExt,
    StateChangesKinds, StateChangesKindsExt,
};
use near_primitives::views::StateChangesRequestView;
use serde_json::Value;
use std::sync::Arc;

fn find(node: &Node, reference: &BlockReference) -> Result<Arc<StoredBlock>, RpcStateChangesError> {
    node.chain()
        .resolve(reference)
        .cloned()
        .ok_or_else(|| RpcStateChangesError::UnknownBlock { error_message: not_found(reference) })
}

/// `EXPERIMENTAL_changes_in_block`: which accounts were touched, and how.
pub(super) fn in_block(node: &Node, params: Value) -> Answer {
    let request: RpcStateChangesInBlockRequest = parse(params)?;
    let block = find(node, &request.block_reference)?;
    let kinds = StateChangesKinds::from_changes(&mut block.changes.iter().cloned());
    to_value(RpcStateChangesInBlockByTypeResponse {
        block_hash: block.hash(),
        changes: kinds.into_iter().map(Into::into).collect(),
    })
}

/// `EXPERIMENTAL_changes`: the new values of one kind, with their causes.
pub(super) fn by_type(node: &Node, params: Value) -> Answer {
    let request: RpcStateChangesInBlockByTypeRequest = parse(params)?;
    let block = find(node, &request.block_reference)?;
    let changes = select(&block.changes, &request.state_changes_request);
    to_value(RpcStateChangesInBlockResponse {
        block_hash: block.hash(),
        changes: changes.into_iter().map(Into::into).collect(),
    })
}

fn select(
    changes: &[RawStateChangesWithTrieKey],
    request: &StateChangesRequestView,
) -> StateChanges {
    let of = |ids: &[AccountId], account_id: &AccountId| ids.contains(account_id);
    let matching = |wanted: &dyn Fn(&TrieKey) -> bool| {
        let all: Vec<_> = changes.iter().filter(|c| wanted(&c.trie_key)).cloned().collect();
        all.into_iter()
    };
    match request {
        StateChangesRequestView::AccountChanges { account_ids } => {
            StateChanges::from_account_changes(matching(
                &|key| matches!(key, TrieKey::Account { account_id } if of(account_ids, account_id)),
            ))
        }
        StateChangesRequestView::SingleAccessKeyChanges { keys } => {
            StateChanges::from_access_key_changes(matching(&|key| match key {
                TrieKey::AccessKey { account_id, key_handle } => keys.iter().any(|wanted| {
                    wanted.account_id == *account_id
                        && near_crypto::PublicKeyHandle::from(&wanted.public_key) == *key_handle
                }),
                _ => false,
            }))
        }
        StateChangesRequestView::AllAccessKeyChanges { account_ids } => {
            StateChanges::from_access_key_changes(matching(
                &|key| matches!(key, TrieKey::AccessKey { account_id, .. } if of(account_ids, account_id)),
            ))
        }
        StateChangesRequestView::ContractCodeChanges { account_ids } => {
            StateChanges::from_contract_code_changes(matching(
                &|key| matches!(key, TrieKey::ContractCode { account_id } if of(account_ids, account_id)),
            ))
        }
        StateChangesRequestView::DataChanges { account_ids, key_prefix } => {
            StateChanges::from_data_changes(matching(&|key| match key {
                TrieKey::ContractData { account_id, key } => {
                    of(account_ids, account_id) && key.starts_with(key_prefix.as_slice())
                }
                _ => false,
            }))
        }
    }
}
