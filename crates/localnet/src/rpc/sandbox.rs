//! `sandbox_patch_state`, `sandbox_fast_forward` and `localnet_records`.

use near_jsonrpc_primitives::types::sandbox::{
    RpcSandboxFastForwardError, RpcSandboxFastForwardRequest, RpcSandboxFastForwardResponse,
    RpcSandboxPatchStateError, RpcSandboxPatchStateRequest, RpcSandboxPatchStateResponse,
};
use serde_json::Value;

use super::{
    answer::{Answer, internal, to_value},
    params::parse,
};
use crate::{chain::Genesis, node::Node};

/// `sandbox_patch_state`: answers when a block includes the records.
pub(super) fn patch_state(node: &Node, params: Value) -> Answer {
    let request: RpcSandboxPatchStateRequest = parse(params)?;
    node.patch_state(request.records).map_err(|error| {
        RpcSandboxPatchStateError::InternalError { error_message: error.to_string() }
    })?;
    to_value(RpcSandboxPatchStateResponse {})
}

/// `sandbox_fast_forward`: answers when the target height is reached.
pub(super) fn fast_forward(node: &Node, params: Value) -> Answer {
    let request: RpcSandboxFastForwardRequest = parse(params)?;
    node.fast_forward(request.delta_height).map_err(|error| {
        RpcSandboxFastForwardError::InternalError { error_message: error.to_string() }
    })?;
    to_value(RpcSandboxFastForwardResponse {})
}

/// `localnet_records`: the state after the newest block, as records of a genesis.
pub(super) fn records(node: &Node) -> Answer {
    let (state, config) = {
        let chain = node.chain();
        (chain.state(), chain.config().as_ref().clone())
    };
    let genesis = Genesis { config, records: state.records(), global_contracts: Vec::new() };
    genesis.to_json().map_err(|error| internal(error.to_string()))
}
