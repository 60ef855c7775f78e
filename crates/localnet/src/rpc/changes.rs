//! `EXPERIMENTAL_changes` and `EXPERIMENTAL_changes_in_block`.

use std::sync::Arc;

use near_crypto::PublicKeyHandle;
use near_jsonrpc_primitives::types::changes::{
    RpcStateChangesError, RpcStateChangesInBlockByTypeRequest,
    RpcStateChangesInBlockByTypeResponse, RpcStateChangesInBlockRequest,
    RpcStateChangesInBlockResponse,
};
use near_primitives::{
    trie_key::TrieKey,
    types::{
        BlockReference, RawStateChangesWithTrieKey, StateChanges, StateChangesExt,
        StateChangesKinds, StateChangesKindsExt,
    },
    views::StateChangesRequestView,
};
use serde_json::Value;

use super::{
    answer::{Answer, not_found, to_value},
    params::parse,
};
use crate::{chain::StoredBlock, node::Node};

fn find(node: &Node, reference: &BlockReference) -> Result<Arc<StoredBlock>, RpcStateChangesError> {
    node.chain()
        .resolve(reference)
        .cloned()
        .ok_or_else(|| RpcStateChangesError::UnknownBlock { error_message: not_found(reference) })
}

/// `EXPERIMENTAL_changes_in_block`: which accounts the block changed, and what kind of change it
/// was.
pub(super) fn in_block(node: &Node, params: Value) -> Answer {
    let request: RpcStateChangesInBlockRequest = parse(params)?;
    let block = find(node, &request.block_reference)?;
    let kinds = StateChangesKinds::from_changes(&mut block.changes.iter().cloned());
    to_value(RpcStateChangesInBlockByTypeResponse {
        block_hash: block.hash(),
        changes: kinds.into_iter().map(Into::into).collect(),
    })
}

/// `EXPERIMENTAL_changes`: the new values of one kind, with the causes of the changes.
pub(super) fn by_type(node: &Node, params: Value) -> Answer {
    let request: RpcStateChangesInBlockByTypeRequest = parse(params)?;
    let block = find(node, &request.block_reference)?;
    let changes = select(&block.changes, &request.state_changes_request);
    to_value(RpcStateChangesInBlockResponse {
        block_hash: block.hash(),
        changes: changes.into_iter().map(Into::into).collect(),
    })
}

/// The changes that a request asks for (`ChainStore::get_state_changes` in
/// `chain/chain/src/store/mod.rs`). They come in the order in which the request names accounts or
/// keys, and for each of those in the order of the trie's keys.
fn select(
    changes: &[RawStateChangesWithTrieKey],
    request: &StateChangesRequestView,
) -> StateChanges {
    let matching = |wanted: &dyn Fn(&TrieKey) -> bool| {
        let found: Vec<_> = changes.iter().filter(|c| wanted(&c.trie_key)).cloned().collect();
        found.into_iter()
    };
    match request {
        StateChangesRequestView::AccountChanges { account_ids } => each(account_ids, |wanted| {
            StateChanges::from_account_changes(matching(
                &|key| matches!(key, TrieKey::Account { account_id } if account_id == wanted),
            ))
        }),
        StateChangesRequestView::SingleAccessKeyChanges { keys } => each(keys, |wanted| {
            let handle = PublicKeyHandle::from(&wanted.public_key);
            StateChanges::from_access_key_changes(matching(&|key| {
                matches!(key, TrieKey::AccessKey { account_id, key_handle }
                    if *account_id == wanted.account_id && *key_handle == handle)
            }))
        }),
        StateChangesRequestView::AllAccessKeyChanges { account_ids } => {
            each(account_ids, |wanted| {
                StateChanges::from_access_key_changes(matching(&|key| match key {
                    TrieKey::AccessKey { account_id, .. }
                    | TrieKey::GasKeyNonce { account_id, .. } => account_id == wanted,
                    _ => false,
                }))
            })
        }
        StateChangesRequestView::ContractCodeChanges { account_ids } => {
            each(account_ids, |wanted| {
                StateChanges::from_contract_code_changes(matching(&|key| match key {
                    TrieKey::ContractCode { account_id } => account_id == wanted,
                    _ => false,
                }))
            })
        }
        StateChangesRequestView::DataChanges { account_ids, key_prefix } => {
            each(account_ids, |wanted| {
                StateChanges::from_data_changes(matching(&|key| {
                    matches!(key, TrieKey::ContractData { account_id, key }
                        if account_id == wanted && key.starts_with(key_prefix.as_slice()))
                }))
            })
        }
    }
}

/// The changes for each of the things that were asked for, one after the other.
fn each<T>(wanted: &[T], changes: impl Fn(&T) -> StateChanges) -> StateChanges {
    wanted.iter().flat_map(changes).collect()
}
