//! Looks at the chain after each block: which requests are live, and how high the chain is.
//!
//! One look serves all requests: those that wait to be started, those whose answers wait to be
//! settled, and those that wait for the next block.

pub(crate) mod decide;
pub(crate) mod source;
pub(crate) mod standing;
pub(crate) mod turn;
pub(crate) mod window;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use outlayer_client::{At, Block, BlockId, ChainError, CryptoHash};
use outlayer_protocol::{RequestId, index::PendingEntry};

use self::{source::BlockTime, window::Window};
use super::super::{schedule::ChainTime, services::Services};

/// How often a block is asked for again that a node does not have yet.
const MOST_TRIES: u32 = 4;

/// What one look at the chain found.
#[derive(Debug)]
pub(crate) struct Look {
    /// The block after which the index was read.
    pub(crate) block: BlockId,
    /// How long a block takes, nanoseconds.
    pub(crate) block_nanos: u64,
    /// When the block was seen.
    seen: Instant,
    /// The index, or as much of it as is known when it is too long for one look.
    pub(crate) pending: Vec<PendingEntry>,
    live: HashSet<RequestId>,
    /// Whether that is all of the index in this block.
    is_whole: bool,
    /// The requests in the newest final block, when that was read too, and to its end.
    last_final: Option<(u64, Option<HashSet<RequestId>>)>,
}

impl Default for Look {
    /// What is known before the first look.
    fn default() -> Self {
        Self {
            block: BlockId { height: 0, hash: CryptoHash::default() },
            block_nanos: BlockTime::default().nanos(),
            seen: Instant::now(),
            pending: Vec::new(),
            live: HashSet::new(),
            is_whole: false,
            last_final: None,
        }
    }
}

/// Whether a request is live, as far as a look shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    Live,
    Gone,
    /// The look did not show it.
    Unknown,
}

impl Look {
    /// A look at this height that shows no request, and none in the final block at another one.
    #[cfg(test)]
    pub(crate) fn without_requests(height: u64, last_final: u64) -> Self {
        let block = BlockId { height, hash: CryptoHash::default() };
        let last_final = Some((last_final, Some(HashSet::new())));
        Self { block, is_whole: true, last_final, ..Self::default() }
    }

    /// How long ago its block was seen.
    pub(crate) fn age(&self) -> Duration {
        self.seen.elapsed()
    }

    /// The ids of the requests that it shows.
    pub(crate) fn live(&self) -> &HashSet<RequestId> {
        &self.live
    }

    /// A request's entry in the index.
    pub(crate) fn entry(&self, request_id: RequestId) -> Option<&PendingEntry> {
        self.pending.iter().find(|entry| entry.request_id == request_id)
    }

    /// The chain's time now.
    pub(crate) fn time(&self) -> ChainTime {
        let passed = u64::try_from(self.seen.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let blocks = passed.checked_div(self.block_nanos).unwrap_or(0);
        // A chain that stands still does not pass any deadline.
        let blocks = blocks.min(2);
        ChainTime {
            height: self.block.height.saturating_add(blocks),
            block_nanos: self.block_nanos,
        }
    }

    /// Whether a request is live in the block of this look.
    pub(crate) fn shows(&self, request_id: RequestId) -> Liveness {
        if self.live.contains(&request_id) {
            Liveness::Live
        } else if self.is_whole {
            Liveness::Gone
        } else {
            // An index that was not read to its end does not show what is gone.
            Liveness::Unknown
        }
    }

    /// Whether a request is live in a final block, at or after this height.
    pub(crate) fn shows_finally(&self, request_id: RequestId, since: u64) -> Liveness {
        match &self.last_final {
            Some((height, Some(live))) if *height >= since => match live.contains(&request_id) {
                true => Liveness::Live,
                false => Liveness::Gone,
            },
            _ => Liveness::Unknown,
        }
    }
}

/// Looks at the index after `block`, and at the newest final one if somebody waits for that.
pub(crate) async fn look(
    services: &Services,
    block: Block,
    times: &mut BlockTime,
    window: &mut Window,
) -> Result<Look, ChainError> {
    times.note(&block);
    let seen = Instant::now();
    let contract = &services.contract;
    let mut tries = 0;
    let index = loop {
        let (from, most) = window.next();
        match contract.pending_from(from, most, At::Hash(block.hash)).await {
            // The index has become shorter.
            Ok(index) if index.entries.is_empty() && index.next_id.is_none() && from > 0 => {
                window.end();
            }
            // Another node behind the same address has given the block, and this one lags.
            Err(ChainError::UnknownBlock { .. }) if tries < MOST_TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_nanos(times.nanos() / 4)).await;
            }
            index => break index?,
        }
    };
    let (pending, is_whole) = window.take(index.entries, index.next_id, block.height);
    let live = ids(&pending);
    let last_final = if services.config.discover_at == At::Final {
        Some((block.height, is_whole.then(|| live.clone())))
    } else if services.awaits_final() {
        let found = contract.pending(window.next().1, At::Final).await?;
        Some((found.block.height, found.next_id.is_none().then(|| ids(&found.entries))))
    } else {
        None
    };
    Ok(Look {
        block: BlockId { height: block.height, hash: block.hash },
        block_nanos: times.nanos(),
        seen,
        pending,
        live,
        is_whole,
        last_final,
    })
}

fn ids(entries: &[PendingEntry]) -> HashSet<RequestId> {
    entries.iter().map(|entry| entry.request_id).collect()
}
