//! Which function answers which method.

use std::sync::Arc;

use near_jsonrpc_primitives::errors::RpcError;
use serde_json::Value;

use super::{
    answer::{Answer, internal},
    blocks, changes, config, light_client, query, receipts, sandbox, status, transactions,
    validators, views,
};
use crate::node::Node;

/// The methods that the node has.
pub const METHODS: [&str; 43] = [
    "EXPERIMENTAL_call_function",
    "EXPERIMENTAL_changes",
    "EXPERIMENTAL_changes_in_block",
    "EXPERIMENTAL_congestion_level",
    "EXPERIMENTAL_genesis_config",
    "EXPERIMENTAL_light_client_block_proof",
    "EXPERIMENTAL_light_client_proof",
    "EXPERIMENTAL_maintenance_windows",
    "EXPERIMENTAL_protocol_config",
    "EXPERIMENTAL_receipt",
    "EXPERIMENTAL_receipt_to_tx",
    "EXPERIMENTAL_split_storage_info",
    "EXPERIMENTAL_tx_status",
    "EXPERIMENTAL_validators_ordered",
    "EXPERIMENTAL_view_access_key",
    "EXPERIMENTAL_view_access_key_list",
    "EXPERIMENTAL_view_account",
    "EXPERIMENTAL_view_code",
    "EXPERIMENTAL_view_gas_key_nonces",
    "EXPERIMENTAL_view_state",
    "block",
    "block_effects",
    "broadcast_tx_async",
    "broadcast_tx_commit",
    "changes",
    "chunk",
    "client_config",
    "gas_price",
    "genesis_config",
    "health",
    "light_client_proof",
    "localnet_records",
    "maintenance_windows",
    "network_info",
    "next_light_client_block",
    "query",
    "sandbox_fast_forward",
    "sandbox_patch_state",
    "send_tx",
    "status",
    "tx",
    "tx_status",
    "validators",
];

/// Calls a method. Methods that read the chain or run contracts do so on a blocking thread.
pub(super) async fn call(node: Arc<Node>, method: String, params: Value) -> Answer {
    match method.as_str() {
        "broadcast_tx_async" => transactions::broadcast_async(node, params).await,
        "broadcast_tx_commit" => transactions::broadcast_commit(node, params).await,
        "send_tx" => transactions::send(node, params).await,
        "tx" => transactions::status(node, params, false).await,
        "tx_status" | "EXPERIMENTAL_tx_status" => transactions::status(node, params, true).await,
        _ => {
            let task = tokio::task::spawn_blocking(move || read(&node, &method, params));
            // A panic is a bug of localnet. The client gets an error, and the node goes on.
            task.await.unwrap_or_else(|error| Err(internal(error.to_string())))
        }
    }
}

fn read(node: &Node, method: &str, params: Value) -> Answer {
    match method {
        "block" => blocks::block(node, params),
        "chunk" => blocks::chunk(node, params),
        "gas_price" => blocks::gas_price(node, params),
        "changes" | "EXPERIMENTAL_changes" => changes::by_type(node, params),
        "block_effects" | "EXPERIMENTAL_changes_in_block" => changes::in_block(node, params),
        "genesis_config" | "EXPERIMENTAL_genesis_config" => config::genesis(node),
        "client_config" => config::client(node),
        "EXPERIMENTAL_protocol_config" => config::protocol(node, params),
        "EXPERIMENTAL_receipt" => receipts::receipt(node, params),
        "EXPERIMENTAL_receipt_to_tx" => receipts::to_transaction(node, params),
        "health" => status::health(node),
        "light_client_proof" | "EXPERIMENTAL_light_client_proof" => {
            light_client::execution_proof(node, params)
        }
        "EXPERIMENTAL_light_client_block_proof" => light_client::block_proof(node, params),
        "next_light_client_block" => light_client::next_block(node, params),
        "network_info" => status::network_info(node),
        "query" => query::query(node, params),
        "EXPERIMENTAL_split_storage_info" => status::split_storage(node, params),
        "status" => status::status(node),
        "validators" => validators::validators(node, params),
        "EXPERIMENTAL_validators_ordered" => validators::ordered(node, params),
        "maintenance_windows" | "EXPERIMENTAL_maintenance_windows" => {
            validators::maintenance_windows(node, params)
        }
        "EXPERIMENTAL_congestion_level" => blocks::congestion_level(node, params),
        "EXPERIMENTAL_view_account" => views::account(node, params),
        "EXPERIMENTAL_view_code" => views::code(node, params),
        "EXPERIMENTAL_view_state" => views::state(node, params),
        "EXPERIMENTAL_view_access_key" => views::access_key(node, params),
        "EXPERIMENTAL_view_access_key_list" => views::access_key_list(node, params),
        "EXPERIMENTAL_view_gas_key_nonces" => views::gas_key_nonces(node, params),
        "EXPERIMENTAL_call_function" => views::call_function(node, params),
        "sandbox_patch_state" => sandbox::patch_state(node, params),
        "sandbox_fast_forward" => sandbox::fast_forward(node, params),
        "localnet_records" => sandbox::records(node),
        _ => Err(RpcError::method_not_found(method.to_owned())),
    }
}
