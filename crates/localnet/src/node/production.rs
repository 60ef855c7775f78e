//! When blocks are produced.

use std::time::Duration;

/// The time between two blocks of an idle chain: NEAR's own block time.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(600);

/// When blocks are produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockProduction {
    /// At once when there is work (transactions, receipts, or something that is not final yet), and
    /// after `heartbeat` when there is none, so that timeouts are also due on an idle chain.
    Instant {
        /// The longest time between two blocks. With `None`, there are no blocks without work.
        heartbeat: Option<Duration>,
    },
    /// One block each time the timer fires, with or without work.
    /// [`Node::set_block_time`](super::Node::set_block_time) changes the time.
    Timer(Duration),
    /// Only when [`Node::produce_block`](super::Node::produce_block) or another method that needs a
    /// block is called.
    Manual,
}

impl BlockProduction {
    /// The time between two blocks, if a timer makes them.
    pub(super) fn period(self) -> Option<Duration> {
        match self {
            Self::Timer(period) => Some(period),
            Self::Instant { .. } | Self::Manual => None,
        }
    }

    /// How many heights above the head a new transaction is included. A NEAR node prepares the next
    /// block's chunk as soon as it has a block, so a transaction that arrives between two blocks is
    /// included in the second block after it. With manual production it is included in the next
    /// one.
    pub(super) fn inclusion_distance(self) -> u64 {
        match self {
            Self::Instant { .. } | Self::Timer(_) => 2,
            Self::Manual => 1,
        }
    }
}

impl Default for BlockProduction {
    fn default() -> Self {
        Self::Instant { heartbeat: Some(DEFAULT_HEARTBEAT) }
    }
}
