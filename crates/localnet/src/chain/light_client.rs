//! What light clients are told: the next block that they should know, and the proof that a block is
//! below another one (`chain/chain/src/lightclient.rs`, `core/store/src/merkle_proof.rs`).

use std::sync::Arc;

use near_primitives::{
    block_header::BlockHeader,
    hash::CryptoHash,
    merkle::{Direction, MerklePath, MerklePathItem, PartialMerkleTree},
    types::{BlockHeight, EpochId, validator_stake::ValidatorStake},
    views::{
        BlockHeaderInnerLiteView, LightClientBlockView, validator_stake_view::ValidatorStakeView,
    },
};

use super::{Chain, StoredBlock};

/// Why there is no proof that a block is below another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A block on the way is not kept, or there never was one with this hash.
    #[error("{0}")]
    Unknown(String),
    /// A block may still be removed by a reorg.
    #[error("{0} not on current chain")]
    NotFinal(CryptoHash),
    /// The block is above the head that the light client knows.
    #[error("block {block} is ahead of head block {head}")]
    Ahead {
        /// The block that was to be proven.
        block: CryptoHash,
        /// The light client's head.
        head: CryptoHash,
    },
}

impl Chain {
    /// The newest block that a light client can verify, if it is above `last`. A light client that
    /// is behind by more than an epoch gets the last block of the epoch after its own, because it
    /// must know each epoch's block producers before it can trust theirs.
    pub fn next_light_client_block(
        &self,
        last: &StoredBlock,
    ) -> Result<Option<LightClientBlockView>, ProofError> {
        let head = self.head();
        let (own, next) = (last.header.epoch_id(), last.header.next_epoch_id());
        if own == head.epoch_id() || next == head.epoch_id() {
            let view = self.light_client_block(head)?;
            return Ok(Some(view).filter(|view| view.inner_lite.height > last.height()));
        }
        match self.last_of_epoch(next, last.height()) {
            Some(last_of_next) => self.light_client_block(&last_of_next.header).map(Some),
            None => Ok(None),
        }
    }

    /// The newest block of an epoch, looked for above a height.
    fn last_of_epoch(&self, epoch: &EpochId, above: BlockHeight) -> Option<&Arc<StoredBlock>> {
        let blocks = self.history.blocks_from(above.saturating_add(1)).map(|(block, _)| block);
        blocks.filter(|block| block.header.epoch_id() == epoch).last()
    }

    /// The newest block that is final as of `header`, in the form for light clients. The two blocks
    /// above it must belong to its epoch, since their approvals are checked against the producers
    /// of that epoch.
    fn light_client_block(&self, header: &BlockHeader) -> Result<LightClientBlockView, ProofError> {
        let mut block = self.kept(header.last_final_block())?;
        for distance in [2, 1] {
            let height = block.height().saturating_add(distance);
            let above = self.history.at(height);
            let above = above.ok_or_else(|| unknown(format!("BLOCK HEIGHT: {height}")))?;
            if above.header.epoch_id() == block.header.epoch_id() {
                if distance == 1 {
                    block = self.kept(above.header.last_final_block())?;
                }
                return self.light_client_view(block);
            }
        }
        let earlier = self.kept(block.header.last_final_block())?;
        self.light_client_view(earlier)
    }

    fn light_client_view(&self, block: &StoredBlock) -> Result<LightClientBlockView, ProofError> {
        let above = |block: &StoredBlock| {
            let missing = || unknown(format!("NEXT BLOCK HASH: {}", block.hash()));
            self.history.above(block.height()).ok_or_else(missing)
        };
        let next = above(block)?;
        let after_next = above(next)?;
        let header = &block.header;
        Ok(LightClientBlockView {
            prev_block_hash: *header.prev_hash(),
            next_block_inner_hash: BlockHeader::compute_inner_hash(
                &next.header.inner_lite_bytes(),
                &next.header.inner_rest_bytes(),
            ),
            inner_lite: BlockHeaderInnerLiteView::from(header.clone()),
            inner_rest_hash: CryptoHash::hash_bytes(&header.inner_rest_bytes()),
            next_bps: Some(self.next_producers(block)),
            approvals_after_next: after_next.header.approvals().to_vec(),
        })
    }

    /// The block producers of the epoch after a block's.
    fn next_producers(&self, block: &StoredBlock) -> Vec<ValidatorStakeView> {
        let ancestry = self.history.ancestry(block.height());
        let validators: &[ValidatorStake] =
            ancestry.map_or(&[], |ancestry| ancestry.next_validators.as_slice());
        let producers = self.epochs.block_producers(validators);
        producers.iter().cloned().map(ValidatorStakeView::from).collect()
    }

    /// The Merkle path from a block to the root of the tree of blocks in the header of `head`. Both
    /// must be final.
    pub fn block_proof(
        &self,
        block: &CryptoHash,
        head: &CryptoHash,
    ) -> Result<(Arc<StoredBlock>, MerklePath), ProofError> {
        let (proven, known) = (self.kept(block)?, self.kept(head)?);
        for block in [proven, known] {
            if block.height() > self.final_height() {
                return Err(ProofError::NotFinal(block.hash()));
            }
        }
        let path = if block == head {
            MerklePath::new()
        } else if proven.height() > known.height() {
            return Err(ProofError::Ahead { block: *block, head: *head });
        } else {
            self.path_between(proven, known)?
        };
        Ok((Arc::clone(proven), path))
    }

    fn path_between(
        &self,
        block: &Arc<StoredBlock>,
        head: &StoredBlock,
    ) -> Result<MerklePath, ProofError> {
        let tree = |block: &StoredBlock| {
            let missing = || unknown(format!("BLOCK: {}", block.hash()));
            let ancestry = self.history.ancestry(block.height()).ok_or_else(missing)?;
            Ok::<_, ProofError>(&ancestry.tree)
        };
        let (left, size) = (tree(block)?, tree(head)?.size());
        let above = self.history.blocks_from(block.height().saturating_add(1));
        let below_head =
            above.map(|(above, _)| above).filter(|above| above.height() < head.height());
        let leaves: Vec<CryptoHash> =
            [block].into_iter().chain(below_head).map(|block| block.hash()).collect();
        let found = u64::try_from(leaves.len()).unwrap_or(u64::MAX).saturating_add(left.size());
        if found != size {
            // The block is the genesis, and those above it are gone.
            return Err(unknown(format!(
                "BLOCK: {} ordinals after {}",
                size - found,
                block.hash()
            )));
        }
        Ok(merkle_path(left, &leaves))
    }

    fn kept(&self, hash: &CryptoHash) -> Result<&Arc<StoredBlock>, ProofError> {
        let block = self.history.by_hash(hash);
        block.ok_or_else(|| unknown(format!("BLOCK HEADER: {hash}")))
    }
}

fn unknown(what: String) -> ProofError {
    ProofError::Unknown(what)
}

/// The path from the first of `leaves` to the root of a tree that consists of `left` and `leaves`.
fn merkle_path(left: &PartialMerkleTree, leaves: &[CryptoHash]) -> MerklePath {
    let mut path = MerklePath::new();
    // The roots of the full subtrees to the left of the leaf, from the smallest on: one for each
    // bit that is set in the leaf's index.
    let mut on_the_left = left.get_path().iter().rev();
    let mut index = left.size();
    // The leaves to the right of the subtree that the path has reached.
    let mut rest = leaves.get(1..).unwrap_or_default();
    let mut width = 1_usize;
    loop {
        if index % 2 == 1 {
            if let Some(hash) = on_the_left.next() {
                path.push(MerklePathItem { hash: *hash, direction: Direction::Left });
            }
        } else if !rest.is_empty() {
            let (sibling, others) = rest.split_at(width.min(rest.len()));
            path.push(MerklePathItem { hash: root(sibling), direction: Direction::Right });
            rest = others;
        }
        index /= 2;
        width = width.saturating_mul(2);
        if index == 0 && rest.is_empty() {
            return path;
        }
    }
}

fn root(leaves: &[CryptoHash]) -> CryptoHash {
    let mut tree = PartialMerkleTree::default();
    for leaf in leaves {
        tree.insert(*leaf);
    }
    tree.root()
}

#[cfg(test)]
mod tests {
    use near_primitives::merkle::verify_hash;

    use super::*;

    /// Every leaf of every tree of up to 70 leaves has a path to the root of the tree.
    #[test]
    fn every_leaf_has_a_path_to_the_root() {
        let leaves: Vec<CryptoHash> = (0..70_u8).map(|n| CryptoHash::hash_bytes(&[n])).collect();
        for size in 1..=leaves.len() {
            let root = root(&leaves[..size]);
            let mut left = PartialMerkleTree::default();
            for (index, leaf) in leaves[..size].iter().enumerate() {
                let path = merkle_path(&left, &leaves[index..size]);
                assert!(verify_hash(root, &path, *leaf), "leaf {index} of {size}");
                let other = CryptoHash::hash_bytes(b"other");
                assert!(!verify_hash(root, &path, other), "leaf {index} of {size}");
                left.insert(*leaf);
            }
        }
    }
}
