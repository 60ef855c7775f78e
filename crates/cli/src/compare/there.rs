//! The contract on the network.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use outlayer_client::{At, Block, CallReceipt, ChainError, CryptoHash, Node};
use outlayer_protocol::{AccountId, Hash32};

use super::Asked;
use crate::wallet::{Planned, Wallet};

/// How often a node is asked for a receipt that has been executed already.
const ATTEMPTS: u32 = 20;
/// How long is waited in between.
const PAUSE: Duration = Duration::from_millis(500);

/// What the network did, and what it is done on here.
pub(super) struct There {
    /// The network's name, as its node gives it.
    pub(super) network: String,
    pub(super) protocol_version: u32,
    /// The account that signed; for a view the contract's own, which nobody is told.
    pub(super) signer_id: AccountId,
    /// The block in which it was executed.
    pub(super) block: Block,
    /// What the contract was told; `None` for a view, whose seed the node keeps to itself.
    pub(super) random_seed: Option<Hash32>,
    /// What the contract had in its state before.
    pub(super) state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) result: Result<Vec<u8>, String>,
    /// `None` when the node does not give them: for a view that failed.
    pub(super) logs: Option<Vec<String>>,
    /// The transaction's hash and the receipt; `None` for a view.
    pub(super) receipt: Option<(CryptoHash, CallReceipt)>,
}

/// Calls the method as a view.
pub(super) async fn view(asked: &Asked, node: &Node) -> anyhow::Result<There> {
    let status = node.status().await?;
    // Method and state are those of one block.
    let block = node.block(At::Optimistic).await?;
    let at = At::Hash(block.hash);
    let state = state(asked, node, at).await?;
    let viewed =
        node.view_with_logs(&asked.contract_id, &asked.method, asked.args.clone(), at).await?;
    if let Err(reason) = &viewed.result
        && reason.contains("ProhibitedInView")
    {
        bail!(
            "{} is no view: {reason}. --call calls it in a transaction of your account",
            asked.method
        );
    }
    Ok(There {
        network: status.chain_id,
        protocol_version: status.protocol_version,
        signer_id: asked.contract_id.clone(),
        block,
        random_seed: None,
        state,
        logs: viewed.result.is_ok().then_some(viewed.logs),
        result: viewed.result,
        receipt: None,
    })
}

/// Calls the method in a transaction; `None` when it was only printed.
pub(super) async fn call(
    asked: &Asked,
    wallet: &Wallet,
    planned: &Planned,
) -> anyhow::Result<Option<There>> {
    let noted: Mutex<Option<CryptoHash>> = Mutex::default();
    let note = |hash| *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
    let sent = wallet.send_noting(planned, &note).await;
    let hash = *noted.lock().unwrap_or_else(PoisonError::into_inner);
    // A call that failed is what is compared. One that was not executed is an error.
    let (hash, failed) = match (sent, hash) {
        (Ok(None), _) => return Ok(None),
        (Ok(Some(outcome)), _) => (outcome.transaction, None),
        (Err(error), Some(hash)) => (hash, Some(error)),
        (Err(error), None) => return Err(error),
    };
    let node = &wallet.node;
    let receipt = match receipt(node, hash, &wallet.id).await {
        Ok(Some(receipt)) => receipt,
        other => {
            let unknown = || format!("transaction {hash} has no receipt on the node");
            return Err(match (failed, other) {
                (Some(error), _) => error,
                (None, Err(error)) => error.into(),
                (None, Ok(_)) => anyhow::anyhow!(unknown()),
            });
        }
    };
    let state = state(asked, node, At::Hash(receipt.block.prev_hash)).await?;
    let status = node.status().await?;
    Ok(Some(There {
        network: status.chain_id,
        protocol_version: status.protocol_version,
        signer_id: wallet.id.clone(),
        block: receipt.block,
        random_seed: Some(receipt.random_seed),
        state,
        result: receipt.result.clone(),
        logs: Some(receipt.logs.clone()),
        receipt: Some((hash, receipt)),
    }))
}

/// The receipt of a transaction. Another node than the one that took the transaction may answer,
/// and be some blocks behind.
async fn receipt(
    node: &Node,
    hash: CryptoHash,
    signer_id: &AccountId,
) -> Result<Option<CallReceipt>, ChainError> {
    for _ in 1..ATTEMPTS {
        match node.call_receipt(hash, signer_id).await {
            Ok(None) | Err(ChainError::UnknownTransaction { .. }) => {
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
    node.call_receipt(hash, signer_id).await
}

async fn state(asked: &Asked, node: &Node, at: At) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let id = &asked.contract_id;
    node.contract_state(id, at).await.with_context(|| {
        format!(
            "the state of {id}, which the same call needs here; nodes show small states only, so \
             compare on an account of your own (--deploy)"
        )
    })
}
