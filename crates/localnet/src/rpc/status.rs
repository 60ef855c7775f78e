//! `status`, `health`, `network_info` and `EXPERIMENTAL_split_storage_info`.

use near_jsonrpc_primitives::types::{
    network_info::RpcNetworkInfoResponse,
    split_storage::{RpcSplitStorageInfoRequest, RpcSplitStorageInfoResponse},
};
use near_primitives::{
    version::Version,
    views::{SplitStorageInfoView, StatusResponse, StatusSyncInfo, ValidatorInfo},
};
use serde_json::Value;

use super::{
    answer::{Answer, internal, to_value},
    params::parse,
};
use crate::node::Node;

/// What program this is.
pub(super) fn version() -> Version {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Version {
        build: format!("localnet-{version}"),
        commit: String::new(),
        rustc_version: env!("CARGO_PKG_RUST_VERSION").to_owned(),
        version,
    }
}

/// `status`
pub(super) fn status(node: &Node) -> Answer {
    let chain = node.chain();
    let head = chain.head();
    let earliest = &chain.history().earliest().header;
    let epoch = chain.epochs().current();
    let key = chain.signer().public_key();
    to_value(StatusResponse {
        version: version(),
        chain_id: chain.config().chain_id.clone(),
        protocol_version: chain.config().protocol_version,
        latest_protocol_version: chain.config().protocol_version,
        rpc_addr: Some(node.rpc_addr()),
        validators: epoch
            .validators
            .iter()
            .map(|v| ValidatorInfo { account_id: v.account_id().clone() })
            .collect(),
        sync_info: StatusSyncInfo {
            latest_block_hash: *head.hash(),
            latest_block_height: head.height(),
            latest_state_root: *head.prev_state_root(),
            latest_block_time: head.timestamp(),
            syncing: false,
            earliest_block_hash: Some(*earliest.hash()),
            earliest_block_height: Some(earliest.height()),
            earliest_block_time: Some(earliest.timestamp()),
            epoch_id: Some(epoch.id),
            epoch_start_height: Some(epoch.start),
        },
        validator_account_id: Some(chain.signer().validator_id().clone()),
        validator_public_key: Some(key.clone()),
        node_public_key: key.clone(),
        node_key: Some(key),
        uptime_sec: i64::try_from(node.uptime().as_secs()).unwrap_or(i64::MAX),
        genesis_hash: chain.history().genesis().hash(),
        detailed_debug_status: None,
    })
}

/// `health`: an error when the last block could not be produced.
pub(super) fn health(node: &Node) -> Answer {
    match node.fault() {
        None => Ok(Value::Null),
        Some(error) => Err(internal(error.to_string())),
    }
}

/// `network_info`: the node has no peers.
pub(super) fn network_info(_node: &Node) -> Answer {
    to_value(RpcNetworkInfoResponse {
        active_peers: vec![],
        num_active_peers: 0,
        peer_max_count: 0,
        sent_bytes_per_sec: 0,
        received_bytes_per_sec: 0,
        known_producers: vec![],
    })
}

/// `EXPERIMENTAL_split_storage_info`: everything is in the hot storage, and there is no cold one.
pub(super) fn split_storage(node: &Node, params: Value) -> Answer {
    let _: RpcSplitStorageInfoRequest = parse(params)?;
    let chain = node.chain();
    let result = SplitStorageInfoView {
        head_height: Some(chain.head().height()),
        final_head_height: Some(chain.final_height()),
        cold_head_height: None,
        hot_db_kind: Some("RPC".to_owned()),
    };
    to_value(RpcSplitStorageInfoResponse { result })
}
