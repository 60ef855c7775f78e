//! Pages for GET that no method answers: `/metrics` and `/openapi.json`.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::methods::METHODS;
use crate::node::Node;

/// The metrics of nearcore that are about the chain, in the text format of Prometheus.
pub(super) fn metrics(node: &Node) -> String {
    let chain = node.chain();
    let head = chain.head();
    let waiting = u64::try_from(chain.pending_transactions()).unwrap_or(u64::MAX);
    let rows = [
        ("near_block_height_head", "Height of the newest block", head.height()),
        ("near_block_ordinal_head", "How many blocks the chain has", head.block_ordinal()),
        ("near_largest_final_height", "Height of the newest final block", chain.final_height()),
        ("near_transaction_pool_entries", "Transactions that wait for a block", waiting),
    ];
    let mut text = String::new();
    for (name, help, value) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    // A millisecond is 10^12 compute units, as in nearcore.
    let applied = chain.applied();
    let used = [
        ("near_chunk_compute", "Compute time by chunk, in ms", applied.compute / 1_000_000_000),
        ("near_chunk_tgas", "Tgas burnt by chunk", applied.gas / 1_000_000_000),
    ];
    for (name, help, thousandths) in used {
        let labels = "shard_id=\"0\"";
        let count = applied.chunks;
        let sum = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} histogram\n\
             {name}_bucket{{{labels},le=\"+Inf\"}} {count}\n\
             {name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}"
        );
    }
    text
}

/// The methods in the form of OpenAPI: each is a path, as in nearcore's own description, though all
/// requests go to `/`. Parameters and results are those of nearcore and not described further.
pub(super) fn openapi() -> Value {
    let mut paths = Map::new();
    for method in METHODS {
        let request = json!({
            "type": "object",
            "required": ["jsonrpc", "id", "method", "params"],
            "properties": {
                "jsonrpc": {"type": "string", "enum": ["2.0"]},
                "id": {},
                "method": {"type": "string", "enum": [method]},
                "params": {},
            },
        });
        let response = json!({
            "type": "object",
            "required": ["jsonrpc", "id"],
            "properties": {
                "jsonrpc": {"type": "string", "enum": ["2.0"]},
                "id": {},
                "result": {},
                "error": {"type": "object"},
            },
        });
        let content = |schema: Value| json!({"application/json": {"schema": schema}});
        let post = json!({
            "operationId": method,
            "requestBody": {"required": true, "content": content(request)},
            "responses": {
                "200": {"description": "a result or an error", "content": content(response)},
            },
        });
        paths.insert(format!("/{method}"), json!({"post": post}));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "localnet", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
    })
}
