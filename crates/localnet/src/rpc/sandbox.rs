//! `sandbox_patch_state` and `sandbox_fast_forward`.

use super::params::parse;
use super::{Answer, to_value};
use crate::node::Node;
use near_jsonrpc_primitives::types::sandbox::{
    RpcSandboxFastForwardError, RpcSandboxFastForwardRequest, RpcSandboxFastForwardResponse,
    RpcSandboxPatchStateError, RpcSandboxPatchStateRequest, RpcSandboxPatchStateResponse,
};
use serde_json::Value;

/// `sandbox_patch_state`: the answer comes once a block holds the records.
pub(super) fn patch_state(node: &Node, params: Value) -> Answer {
    let request: RpcSandboxPatchStateRequest = parse(params)?;
    node.patch_state(request.records).map_err(|error| {
        RpcSandboxPatchStateError::InternalError { error_message: error.to_string() }
    })?;
    to_value(RpcSandboxPatchStateResponse {})
}

/// `sandbox_fast_forward`: the answer comes at the end of the jump.
pub(super) fn fast_forward(node: &Node, params: Value) -> Answer {
    let request: RpcSandboxFastForwardRequest = parse(params)?;
    node.fast_forward(request.delta_height).map_err(|error| {
        RpcSandboxFastForwardError::InternalError { error_message: error.to_string() }
    })?;
    to_value(RpcSandboxFastForwardResponse {})
}
