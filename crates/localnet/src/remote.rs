//! A node that commands ask by its RPC.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::home::Home;

/// How long a node has for an answer. One with a whole state takes a while.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A node that is asked by its RPC.
pub(crate) struct Remote {
    url: String,
    http: reqwest::Client,
}

impl Remote {
    /// A node at `url`. It is not asked anything yet.
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), http: reqwest::Client::new() }
    }

    /// The result of a method.
    pub(crate) async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": "localnet", "method": method, "params": params});
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .timeout(TIMEOUT)
            .body(body.to_string());
        // The address may have a key to the service in it, which belongs in no message.
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.with_context(|| format!("{method}: the node does not answer"))?;
        let status = response.status();
        let text = response.text().await.map_err(reqwest::Error::without_url)?;
        let mut reply: Value = serde_json::from_str(&text)
            .map_err(|_| anyhow!("{method}: HTTP {status} and no JSON"))?;
        if let Some(error) = reply.get("error") {
            let name = error["cause"]["name"].as_str().unwrap_or("an error");
            bail!("{method}: {name}: {}", error["data"]);
        }
        ensure!(reply["result"].is_object(), "{method}: HTTP {status} and no result");
        let result = reply["result"].take();
        if let Some(error) = result["error"].as_str() {
            bail!("{method}: {error}");
        }
        Ok(result)
    }
}

/// The node that runs on a home directory, if one does.
pub(crate) async fn running(home: &Home) -> Option<Remote> {
    let node = Remote::new(&home.url()?);
    let status = node.call("status", json!([])).await.ok()?;
    // Another node may have the address by now.
    let chain_id = home.genesis().ok()?.config.chain_id;
    (status["chain_id"] == chain_id).then_some(node)
}

/// Runs what a command asks of nodes.
pub(crate) fn block_on<T>(asking: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(asking))
}
