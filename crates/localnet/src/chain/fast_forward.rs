//! Fast-forwarding: heights are skipped (`sandbox_fast_forward`).
//!
//! nearcore's sandbox skips heights, but never the end of an epoch. It produces the last blocks of
//! the epoch and the first one of the next epoch, skips again, and so on until it is above the
//! target height.

use near_primitives::types::{BlockHeight, BlockHeightDelta};

use super::{Chain, SKIPPED_HEIGHT};

/// How far below the expected end of an epoch to stop skipping. The block that is produced there is
/// final two blocks later, and then the epoch is over.
const BLOCKS_BEFORE_EPOCH_END: u64 = 3;

/// A fast-forward in progress.
#[derive(Debug, Clone, Copy)]
pub struct FastForward {
    target: BlockHeight,
}

impl Chain {
    /// Begins to fast-forward by `delta` heights. The last block of the fast-forward is at the
    /// head's height + `delta` + 1.
    pub fn start_fast_forward(&self, delta: BlockHeightDelta) -> FastForward {
        FastForward { target: self.head().height().saturating_add(delta).saturating_add(1) }
    }

    /// The height of the next block of a fast-forward, or `None` when it is complete. Time moves on
    /// by [`SKIPPED_HEIGHT`] for each height that is skipped before that block.
    pub fn next_fast_forward_height(&mut self, fast_forward: FastForward) -> Option<BlockHeight> {
        let head = self.head().height();
        if head >= fast_forward.target {
            return None;
        }
        let above = head + 1;
        let landing = self.epochs.expected_end().saturating_sub(BLOCKS_BEFORE_EPOCH_END);
        // Above the genesis block no epoch has started yet: the first block of the first one comes
        // before any skipping.
        let landing = if self.epochs.current().height == 0 { above } else { landing };
        let height = above.max(fast_forward.target.min(landing));
        let skipped = u32::try_from(height - above).unwrap_or(u32::MAX);
        self.clock.advance(SKIPPED_HEIGHT.saturating_mul(skipped));
        Some(height)
    }
}
