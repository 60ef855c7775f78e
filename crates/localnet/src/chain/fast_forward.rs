//! Jumps in height (`sandbox_fast_forward`).
//!
//! nearcore's sandbox leaves heights out but never the end of an epoch: it makes the last blocks of
//! the epoch, the first one of the next, and leaps again, until it is above the height it was sent to.

use super::{Chain, SKIPPED_HEIGHT};
use near_primitives::types::{BlockHeight, BlockHeightDelta};

/// How far below the expected end of an epoch a leap comes down. The block that is made there is
/// final two blocks later, and with that the epoch is over.
const LANDING: u64 = 3;

/// A jump under way.
#[derive(Debug, Clone, Copy)]
pub struct Jump {
    target: BlockHeight,
}

impl Chain {
    /// Begins a jump by `delta` heights: the block that ends it stands at the head's height plus
    /// `delta` plus one.
    pub fn start_jump(&self, delta: BlockHeightDelta) -> Jump {
        Jump { target: self.head().height().saturating_add(delta).saturating_add(1) }
    }

    /// The height of the next block of a jump, or `None` when it is over. The time of the heights
    /// that are left out passes before that block.
    pub fn next_of_jump(&mut self, jump: Jump) -> Option<BlockHeight> {
        let head = self.head().height();
        if head >= jump.target {
            return None;
        }
        let above = head + 1;
        let landing = self.epochs.expected_end().saturating_sub(LANDING);
        // Above the genesis the first epoch has not begun; the whole of it lies ahead.
        let landing = if self.epochs.current().height == 0 { above } else { landing };
        let height = above.max(jump.target.min(landing));
        let skipped = u32::try_from(height - above).unwrap_or(u32::MAX);
        self.clock.advance(SKIPPED_HEIGHT.saturating_mul(skipped));
        Some(height)
    }
}
