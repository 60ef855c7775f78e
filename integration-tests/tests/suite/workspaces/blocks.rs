//! Blocks, fast-forwarding, views of past blocks, and the experimental methods.

use near_workspaces::BlockHeight;

use super::{BASIC, basic, worker};

#[tokio::test]
async fn a_jump_moves_height_time_and_epoch() {
    let (worker, _) = basic().await;
    let before = worker.view_block().await.unwrap();
    worker.fast_forward(10_000).await.unwrap();
    let after = worker.view_block().await.unwrap();
    let heights: BlockHeight = after.height() - before.height();
    assert!(heights > 10_000 && heights < 10_100, "{heights}");
    let seconds = (after.timestamp() - before.timestamp()) / 1_000_000_000;
    assert!((2_500..3_500).contains(&seconds), "{seconds}");
    assert_ne!(after.epoch_id(), before.epoch_id());
}

#[tokio::test]
async fn the_past_can_be_viewed() {
    let (worker, contract) = basic().await;
    contract.call("write").args(b"old".to_vec()).transact().await.unwrap().unwrap();
    let block = worker.view_block().await.unwrap();
    contract.call("write").args(b"new".to_vec()).transact().await.unwrap().unwrap();
    let at_hash = contract.view("read").block_hash(*block.hash()).await.unwrap();
    assert_eq!(at_hash.result, b"old");
    let at_height = contract.view("read").block_height(block.height()).await.unwrap();
    assert_eq!(at_height.result, b"old");
    assert_eq!(contract.view("read").await.unwrap().result, b"new");
    let genesis = worker.view_block().block_height(0).await.unwrap();
    assert_eq!(genesis.height(), 0);
    let root = worker.root_account().unwrap();
    let rich = worker.view_account(root.id()).block_hash(*genesis.hash()).await.unwrap();
    assert_eq!(rich.balance.as_near(), 1_000_000_000);
    assert!(worker.view_account(contract.id()).block_height(0).await.is_err());
}

#[tokio::test]
async fn blocks_and_chunks_belong_together() {
    let worker = worker().await;
    worker.dev_deploy(BASIC).await.unwrap();
    let block = worker.view_block().await.unwrap();
    let chunk = worker.view_chunk().block_hash_and_shard(*block.hash(), 0).await.unwrap();
    assert_eq!(chunk.header.height_included, block.height());
    assert!(worker.gas_price().await.unwrap().as_yoctonear() >= 100_000_000);
}

#[tokio::test]
async fn the_experimental_methods_answer() {
    let (worker, contract) = basic().await;
    let outcome = contract.call("write").args(b"x".to_vec()).transact().await.unwrap();
    let receipt = outcome.receipt_outcomes()[0].clone();
    let config = worker.genesis_config().await.unwrap();
    assert_eq!(config.epoch_length, 60);
    let latest = || near_primitives::types::BlockReference::latest();
    let protocol = worker.protocol_config(latest()).await.unwrap();
    assert_eq!(protocol.protocol_version, config.protocol_version);
    let validators = worker.validators_ordered(None).await.unwrap();
    assert_eq!(validators.len(), 1);
    let block = near_primitives::types::BlockId::Hash(near_primitives::hash::CryptoHash(
        receipt.block_hash.0,
    ));
    let changes = worker.changes_in_block(block.into()).await.unwrap();
    assert!(!changes.changes.is_empty());
}
