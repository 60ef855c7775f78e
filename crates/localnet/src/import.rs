//! Accounts of other networks, with their code and state, as they were at one block.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use near_crypto::PublicKey;
use near_primitives::{
    hash::CryptoHash,
    types::{AccountId, BlockHeight},
};
use serde_json::{Value, json};

use crate::{
    home::Home,
    remote::{Remote, running},
};

/// How many items of a state are asked for at once. A node may show fewer.
const PAGE_ITEMS: u32 = 10_000;

/// The options of `localnet import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The accounts; none with --file or --global-contract.
    #[arg(required_unless_present_any = ["file", "global_contract"])]
    accounts: Vec<AccountId>,
    /// The RPC of a node of their network, such as https://rpc.testnet.near.org
    #[arg(long, required_unless_present = "file")]
    rpc: Option<String>,
    /// The height of the block after which they are read; the newest final block without it.
    #[arg(long, requires = "rpc")]
    block_height: Option<u64>,
    /// Writes the records to this file, and puts them nowhere else.
    #[arg(long, requires = "rpc")]
    save: Option<PathBuf>,
    /// Fetches the code of the global contract with this hash into the file that --save names, for
    /// `run --global-contract`.
    #[arg(long, value_name = "HASH", requires_all = ["rpc", "save"], conflicts_with = "accounts")]
    global_contract: Option<CryptoHash>,
    /// Takes the records from a file that was written with --save.
    #[arg(long, conflicts_with_all = ["accounts", "rpc", "global_contract"])]
    file: Option<PathBuf>,
}

/// Takes records from another network or from a file, and puts them where the command says.
pub(crate) async fn run(home: &Home, args: Args) -> anyhow::Result<()> {
    if let (Some(hash), Some(rpc), Some(save)) = (args.global_contract, &args.rpc, &args.save) {
        let remote = Remote::new(rpc);
        let code = global_contract(&remote, hash, args.block_height).await;
        let code = code.map_err(|error| anyhow!("{hash}: {error:#}"))?;
        std::fs::write(save, &code).map_err(|error| anyhow!("{}: {error}", save.display()))?;
        println!("{} bytes in {}", code.len(), save.display());
        return Ok(());
    }
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path)?;
        anyhow::Ok(serde_json::from_str::<Value>(&text)?)
    };
    let mut records = Vec::new();
    if let Some(file) = &args.file {
        let mut saved = read(file).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        let Some(list) = saved["records"].as_array_mut() else {
            bail!("{}: expected a file that import --save has written", file.display());
        };
        records.append(list);
    }
    if let Some(rpc) = &args.rpc {
        let remote = Remote::new(rpc);
        let key = home.validator_signer()?.public_key();
        for account_id in &args.accounts {
            let of_one = records_of(&remote, account_id, args.block_height, &key);
            let of_one = of_one.await.map_err(|e| anyhow!("{account_id}: {e:#}"))?;
            records.extend(of_one);
        }
    }
    let count = records.len();
    if let Some(save) = &args.save {
        let text = serde_json::to_string_pretty(&json!({ "records": records }))?;
        std::fs::write(save, text).map_err(|error| anyhow!("{}: {error}", save.display()))?;
        println!("{count} records in {}", save.display());
        return Ok(());
    }
    if let Some(node) = running(home).await {
        let patch = node.call("sandbox_patch_state", json!({ "records": records }));
        patch.await.map_err(|error| anyhow!("{error:#}"))?;
        println!("{count} records in the running node");
    } else {
        home.add_records(records)?;
        println!("{count} records in the genesis; the next start has them");
    }
    Ok(())
}

/// The code of a global contract after a block; after the newest final one when none is named.
async fn global_contract(
    remote: &Remote,
    hash: CryptoHash,
    height: Option<BlockHeight>,
) -> anyhow::Result<Vec<u8>> {
    let mut params = match height {
        Some(height) => json!({"block_id": height}),
        None => json!({"finality": "final"}),
    };
    params["request_type"] = json!("view_global_contract_code");
    params["code_hash"] = json!(hash);
    let shown = remote.call("query", params).await?;
    let code = STANDARD
        .decode(shown["code_base64"].as_str().unwrap_or_default())
        .context("view_global_contract_code: code_base64 is not base64")?;
    let found = CryptoHash::hash_bytes(&code);
    ensure!(found == hash, "view_global_contract_code: the node shows code with the hash {found}");
    Ok(code)
}

/// The records of `account_id` after a block; after the newest final one when none is named. `key`
/// has full access to the account, in place of the keys that it has on its network: whoever holds
/// those is not here. What is staked there is balance here.
async fn records_of(
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
