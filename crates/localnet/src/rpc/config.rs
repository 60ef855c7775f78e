//! `EXPERIMENTAL_genesis_config`, `EXPERIMENTAL_protocol_config` and `client_config`.

use near_chain_configs::{ProtocolConfig, ProtocolConfigView};
use near_jsonrpc_primitives::types::config::{RpcProtocolConfigError, RpcProtocolConfigRequest};
use serde_json::{Value, json};

use super::{
    answer::{Answer, not_found, to_value},
    params::parse,
    status::version,
};
use crate::node::Node;

/// `EXPERIMENTAL_genesis_config`: the configuration without the records.
pub(super) fn genesis(node: &Node) -> Answer {
    let chain = node.chain();
    let config = to_value(chain.config().as_ref())?;
    Ok(with_hidden_seats(config, chain.config().protocol_version))
}

/// Adds a field that nodes of the oldest version have, and newer ones no longer.
fn with_hidden_seats(mut config: Value, protocol_version: u32) -> Value {
    if let (Some(fields), 84) = (config.as_object_mut(), protocol_version) {
        fields.insert("avg_hidden_validator_seats_per_shard".to_owned(), json!([0]));
    }
    config
}

/// `EXPERIMENTAL_protocol_config`
pub(super) fn protocol(node: &Node, params: Value) -> Answer {
    let request = RpcProtocolConfigRequest { block_reference: parse(params)? };
    let chain = node.chain();
    if chain.resolve(&request.block_reference).is_none() {
        let error_message = not_found(&request.block_reference);
        return Err(RpcProtocolConfigError::UnknownBlock { error_message }.into());
    }
    let runtime_config = chain.runtime().config(chain.config().protocol_version).as_ref().clone();
    let genesis_config = chain.config().as_ref().clone();
    let protocol_version = genesis_config.protocol_version;
    let config =
        to_value(ProtocolConfigView::from(ProtocolConfig { genesis_config, runtime_config }))?;
    Ok(with_hidden_seats(config, protocol_version))
}

/// `client_config`: the settings that this node has, and those of nearcore's that say what a client
/// may expect of a node. What is about peers, threads and synchronization is left out.
pub(super) fn client(node: &Node) -> Answer {
    let chain = node.chain();
    let genesis = chain.config();
    let settings = node.settings();
    Ok(json!({
        "version": version(),
        "chain_id": genesis.chain_id,
        "rpc_addr": node.rpc_addr(),
        "epoch_length": genesis.epoch_length,
        "num_block_producer_seats": genesis.num_block_producer_seats,
        "expected_shutdown": null,
        "archive": false,
        "gc": {
            "gc_blocks_limit": chain.history().window(),
            "gc_num_epochs_to_keep": u64::try_from(chain.history().window()).unwrap_or(u64::MAX)
                / genesis.epoch_length.max(1),
        },
        "tracked_shards_config": "AllShards",
        "min_num_peers": 0,
        "produce_empty_blocks": true,
        "save_trie_changes": true,
        "save_tx_outcomes": true,
        "save_receipt_to_tx": true,
        "save_state_changes": true,
        "trie_viewer_state_size_limit": settings.state_size_limit,
        "view_access_keys_limit": settings.access_keys_limit,
        "max_gas_burnt_view": settings.view_gas,
        "transaction_pool_size_limit": null,
    }))
}
