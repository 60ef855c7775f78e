//! `EXPERIMENTAL_genesis_config`, `EXPERIMENTAL_protocol_config` and `client_config`.

use near_chain_configs::{ProtocolConfig, ProtocolConfigView};
use near_jsonrpc_primitives::types::config::{RpcProtocolConfigError, RpcProtocolConfigRequest};
use serde_json::{Value, json};

use super::{
    answer::{Answer, not_found, to_value},
    params::parse,
};
use crate::node::Node;

/// `EXPERIMENTAL_genesis_config`: the configuration without the records.
pub(super) fn genesis(node: &Node) -> Answer {
    to_value(node.chain().config().as_ref())
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
    to_value(ProtocolConfigView::from(ProtocolConfig { genesis_config, runtime_config }))
}

/// `client_config`: the few of nearcore's settings that this node has.
pub(super) fn client(node: &Node) -> Answer {
    let chain = node.chain();
    Ok(json!({
        "chain_id": chain.config().chain_id,
        "rpc_addr": node.rpc_addr(),
        "epoch_length": chain.config().epoch_length,
        "archive": false,
    }))
}
