//! Looks at the chain after each block: which requests are live, and how high the chain is.
//!
//! One look serves all requests: those that wait to be started, those whose answers wait to be
//! settled, and those that wait for the next block.

pub(crate) mod decide;
pub(crate) mod source;
pub(crate) mod standing;
pub(crate) mod turn;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use outlayer_client::{At, Block, BlockId, ChainError, CryptoHash, PendingIndex};
use outlayer_protocol::{RequestId, index::PendingEntry};

use self::source::BlockTime;
use super::super::{schedule::ChainTime, services::Services};

/// The most pending requests that one look takes in.
const MOST_PENDING: usize = 10_000;

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
    /// The index.
    pub(crate) pending: Vec<PendingEntry>,
    live: Live,
    /// The same as of the newest final block, when that was read too.
    last_final: Option<(u64, Live)>,
}

/// Which requests are live in a block.
#[derive(Clone, Debug, Default)]
struct Live {
    ids: HashSet<RequestId>,
    /// Whether these are all of them.
    is_whole: bool,
}

impl Default for Look {
    /// What is known before the first look.
    fn default() -> Self {
        Self {
            block: BlockId { height: 0, hash: CryptoHash::default() },
            block_nanos: BlockTime::default().nanos(),
            seen: Instant::now(),
            pending: Vec::new(),
            live: Live::default(),
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
    /// The ids of the requests in the index.
    pub(crate) fn live(&self) -> &HashSet<RequestId> {
        &self.live.ids
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
        self.live.shows(request_id)
    }

    /// Whether a request is live in a final block, at or after this height.
    pub(crate) fn shows_finally(&self, request_id: RequestId, since: u64) -> Liveness {
        match &self.last_final {
            Some((height, live)) if *height >= since => live.shows(request_id),
            _ => Liveness::Unknown,
        }
    }
}

impl Live {
    fn of(index: &PendingIndex) -> Self {
        let ids = index.entries.iter().map(|entry| entry.request_id).collect();
        Self { ids, is_whole: index.is_whole }
    }

    fn shows(&self, request_id: RequestId) -> Liveness {
        match self.ids.contains(&request_id) {
            true => Liveness::Live,
            // An index that was not read to its end does not show what is gone.
            false if self.is_whole => Liveness::Gone,
            false => Liveness::Unknown,
        }
    }
}

/// Looks at the index after `block`, and at the newest final one if somebody waits for that.
pub(crate) async fn look(
    services: &Services,
    block: Block,
    times: &mut BlockTime,
) -> Result<Look, ChainError> {
    times.note(&block);
    let seen = Instant::now();
    let contract = &services.contract;
    let mut tries = 0;
    let index = loop {
        match contract.pending(MOST_PENDING, At::Hash(block.hash)).await {
            // Another node behind the same address has given the block, and this one lags.
            Err(ChainError::UnknownBlock { .. }) if tries < MOST_TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_nanos(times.nanos() / 4)).await;
            }
            index => break index?,
        }
    };
    let live = Live::of(&index);
    let last_final = if services.config.discover_at == At::Final {
        Some((block.height, live.clone()))
    } else if services.awaits_final() {
        let found = contract.pending(MOST_PENDING, At::Final).await?;
        Some((found.block.height, Live::of(&found)))
    } else {
        None
    };
    Ok(Look {
        block: BlockId { height: block.height, hash: block.hash },
        block_nanos: times.nanos(),
        seen,
        pending: index.entries,
        live,
        last_final,
    })
}
