//! A client of the node's RPC that makes blocks while it waits.

use std::time::Duration;

use outlayer_localnet::Handle;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// A reply: the HTTP status, and the body as JSON or as text.
pub(crate) struct Reply {
    pub(crate) http_status: u16,
    pub(crate) body: Value,
}

/// The client of a node.
pub(crate) struct Client<'a> {
    handle: &'a Handle,
    http: reqwest::Client,
    runtime: Runtime,
}

impl<'a> Client<'a> {
    pub(crate) fn new(handle: &'a Handle) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self { handle, http: reqwest::Client::new(), runtime }
    }

    /// Posts a body. Until the reply arrives, makes blocks as long as the chain has work.
    pub(crate) fn post(&self, body: String) -> Reply {
        let request = self
            .http
            .post(self.handle.rpc_url())
            .header("content-type", "application/json")
            .body(body)
            .send();
        let reply = self.runtime.spawn(async move {
            let response = request.await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        });
        while !reply.is_finished() {
            if !crate::live() {
                self.handle.settle().unwrap();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let (http_status, text) = self.runtime.block_on(reply).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { http_status, body }
    }

    /// Posts a body without making a block.
    pub(crate) fn post_quietly(&self, body: String) -> Reply {
        let request = self
            .http
            .post(self.handle.rpc_url())
            .header("content-type", "application/json")
            .body(body)
            .send();
        let (http_status, text) = self.runtime.block_on(async move {
            let response = request.await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        });
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { http_status, body }
    }

    /// Calls a method without making a block.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": "g", "method": method, "params": params});
        self.post_quietly(request.to_string()).body
    }

    fn query(&self, kind: &str, account_id: &str, mut more: Map<String, Value>) -> Value {
        more.insert("request_type".into(), kind.into());
        more.insert("account_id".into(), account_id.into());
        more.insert("finality".into(), "optimistic".into());
        self.call("query", Value::Object(more))
    }

    /// The nonce of a key, if the key is there.
    pub(crate) fn nonce(&self, account_id: &str, public_key: &str) -> Option<u64> {
        let more = Map::from_iter([("public_key".to_owned(), Value::from(public_key))]);
        self.query("view_access_key", account_id, more)["result"]["nonce"].as_u64()
    }

    /// An account in the form of the recordings, with its state on request.
    pub(crate) fn account(&self, account_id: &str, with_state: bool) -> Value {
        let account = self.query("view_account", account_id, Map::new());
        let Some(account) = account.get("result") else {
            return Value::Null;
        };
        let keys = self.query("view_access_key_list", account_id, Map::new());
        let keys: Map<String, Value> = keys["result"]["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| {
                let name = key["public_key"].as_str().unwrap().to_owned();
                (name, key["access_key"]["permission"].clone())
            })
            .collect();
        let mut shown = json!({
            "amount": account["amount"],
            "locked": account["locked"],
            "storage_usage": account["storage_usage"],
            "code_hash": account["code_hash"],
            "keys": keys,
        });
        if with_state {
            let more = Map::from_iter([("prefix_base64".to_owned(), Value::from(""))]);
            let state = self.query("view_state", account_id, more);
            shown["state"] = match state.get("result") {
                Some(result) => result["values"].clone(),
                None => state["error"]["cause"]["name"].clone(),
            };
        }
        shown
    }

    /// The reply of `EXPERIMENTAL_tx_status` for a transaction as far as it has been executed.
    pub(crate) fn transaction_status(&self, hash: &str, signer: &str) -> Value {
        let params = json!({"tx_hash": hash, "sender_account_id": signer, "wait_until": "NONE"});
        self.call("EXPERIMENTAL_tx_status", params)["result"].clone()
    }

    /// The height of the block with this hash.
    pub(crate) fn height_of(&self, block_hash: &str) -> u64 {
        self.call("block", json!({"block_id": block_hash}))["result"]["header"]["height"]
            .as_u64()
            .unwrap()
    }

    /// The hash of the newest block of a finality, such as `final`.
    pub(crate) fn block_hash(&self, finality: &str) -> String {
        let block = self.call("block", json!({"finality": finality}));
        block["result"]["header"]["hash"].as_str().unwrap().to_owned()
    }

    /// The hash of the genesis block.
    pub(crate) fn genesis_hash(&self) -> String {
        let block = self.call("block", json!({"block_id": 0}));
        block["result"]["header"]["hash"].as_str().unwrap().to_owned()
    }
}
