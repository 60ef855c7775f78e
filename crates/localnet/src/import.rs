//! Accounts of other networks, with their code and state, as they were at one block.

use anyhow::{Context, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use near_crypto::PublicKey;
use near_primitives::{
    hash::CryptoHash,
    types::{AccountId, BlockHeight},
};
use serde_json::{Value, json};

/// How many items of a state are asked for at once. A node may show fewer.
const PAGE_ITEMS: u32 = 10_000;

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
            .body(body.to_string());
        // The address may have a key to the service in it, which belongs in no message.
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.with_context(|| format!("{method}: the node does not answer"))?;
        let status = response.status();
        let text = response.text().await.map_err(reqwest::Error::without_url)?;
        let mut reply: Value = serde_json::from_str(&text)
            .map_err(|_| anyhow::anyhow!("{method}: HTTP {status} and no JSON"))?;
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

/// The records of `account_id` after a block; after the newest final one when none is named. `key`
/// has full access to the account, in place of the keys that it has on its network: whoever holds
/// those is not here. What is staked there is balance here.
pub(crate) async fn records(
    remote: &Remote,
    account_id: &AccountId,
    height: Option<BlockHeight>,
    key: &PublicKey,
) -> anyhow::Result<Vec<Value>> {
    let block = match height {
        Some(height) => json!({"block_id": height}),
        None => json!({"finality": "final"}),
    };
    let header = remote.call("block", block).await?["header"].take();
    let hash = header["hash"].as_str().context("block: the header has no hash")?.to_owned();
    let query = |request: &str, more: Value| {
        let mut params =
            json!({"request_type": request, "block_id": hash, "account_id": account_id});
        if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
            params.extend(more);
        }
        remote.call("query", params)
    };
    let account = query("view_account", json!({})).await?;
    let number = |field: &str| -> anyhow::Result<u128> {
        let text = account[field].as_str().unwrap_or_default();
        text.parse().with_context(|| format!("view_account: {field} is {}", account[field]))
    };
    let amount = number("amount")?.saturating_add(number("locked")?);
    let storage_usage = account["storage_usage"]
        .as_u64()
        .with_context(|| format!("view_account: storage_usage is {}", account["storage_usage"]))?;
    let none = CryptoHash::default().to_string();
    let is_global = ["global_contract_hash", "global_contract_account_id"]
        .iter()
        .any(|field| !account[*field].is_null());
    let mut records = Vec::new();
    let mut code_hash = none.clone();
    if is_global || account["code_hash"] != none {
        // A global contract becomes the account's own.
        let code = query("view_code", json!({})).await?["code_base64"].take();
        let bytes = STANDARD
            .decode(code.as_str().unwrap_or_default())
            .context("view_code: code_base64 is not base64")?;
        code_hash = CryptoHash::hash_bytes(&bytes).to_string();
        records.push(json!({"Contract": {"account_id": account_id, "code": code}}));
    }
    let mut after: Option<String> = None;
    loop {
        let mut page = json!({"prefix_base64": "", "limit": PAGE_ITEMS});
        if let Some(after) = &after {
            page["after_key_base64"] = json!(after);
        }
        let mut page = query("view_state", page).await.context(
            "the state cannot be read; where the node shows no state as large as this one, ask \
             another node, or import a file that was saved before",
        )?;
        let Some(values) = page["values"].as_array_mut() else {
            bail!("view_state: the node shows no values");
        };
        records.extend(values.iter_mut().map(|item| {
            json!({"Data": {
                "account_id": account_id,
                "data_key": item["key"].take(),
                "value": item["value"].take(),
            }})
        }));
        let last = page["last_key"].as_str().map(str::to_owned);
        ensure!(last.is_none() || last != after, "view_state: the node shows a page twice");
        match last {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    let account = json!({"Account": {"account_id": account_id, "account": {
        "amount": amount.to_string(), "locked": "0", "code_hash": code_hash,
        "storage_usage": storage_usage, "version": "V1",
    }}});
    let access = json!({"AccessKey": {"account_id": account_id, "public_key": key, "access_key": {
        "nonce": 0, "permission": "FullAccess",
    }}});
    records.splice(0..0, [account, access]);
    Ok(records)
}
