//! `sandbox_patch_state` and `sandbox_fast_forward`.

use near_jsonrpc_primitives::types::sandbox::{
    RpcSandboxFastForwardError, RpcSandboxFastForwardRequest, RpcSandboxFastForwardResponse,
    RpcSandboxPatchStateError, RpcSandboxPatchStateRequest, RpcSandboxPatchStateResponse,
};
use serde_json::Value;

use super::{
    answer::{Answer, to_value},
    params::parse,
};
use crate::node::Node;

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
