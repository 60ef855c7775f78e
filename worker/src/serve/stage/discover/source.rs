//! Where new blocks come from. The worker asks for them by polling; a stream of blocks can take the
//! poller's place.

use std::{
    collections::VecDeque,
    pin::Pin,
    time::{Duration, Instant},
};

use outlayer_client::{At, Block, ChainError, Node};

/// The next block, when there is one.
pub type NextBlock<'a> = Pin<Box<dyn Future<Output = Result<Block, ChainError>> + Send + 'a>>;

/// Tells the worker of new blocks.
pub trait BlockSource: Send {
    /// Waits for a block that is newer than the last one that was given. With `busy`, requests wait
    /// for it; without, it may come a little later. After an error the next call waits as long as
    /// suits the source.
    fn next(&mut self, busy: bool) -> NextBlock<'_>;
}

/// Asks a node for its newest block: several times a block, about when the next one is expected,
/// while there is work, and once a block when there is none.
#[derive(Debug)]
pub(crate) struct Poller {
    node: Node,
    at: At,
    /// The longest time between two questions while there is work.
    interval: Duration,
    last: Option<(u64, Instant)>,
    times: BlockTime,
}

impl Poller {
    pub(crate) fn new(node: Node, at: At, interval: Duration) -> Self {
        Self { node, at, interval, last: None, times: BlockTime::default() }
    }

    /// When to ask again, after the last new block was seen.
    fn pause(&self, busy: bool) -> Duration {
        let block = Duration::from_nanos(self.times.nanos()).min(MOST_PAUSE);
        if busy {
            // Four times a block, so that a new one is a quarter of a block old at the most.
            self.interval.min(block / 4).max(Duration::from_millis(2))
        } else {
            self.interval.max(block)
        }
    }

    async fn poll(&mut self, busy: bool) -> Result<Block, ChainError> {
        let mut pause = self.pause(busy);
        if busy && let Some((_, seen)) = self.last {
            // The next block is not due before three quarters of a block have passed.
            let block = Duration::from_nanos(self.times.nanos()).min(MOST_PAUSE);
            pause = pause.max((block * 3 / 4).min(self.interval).saturating_sub(seen.elapsed()));
        }
        if self.last.is_some() {
            tokio::time::sleep(pause).await;
        }
        loop {
            let block = self.node.block(self.at).await?;
            // After a reorg the newest block may be lower than the last one.
            if self.last.is_none_or(|(height, _)| height != block.height) {
                self.times.note(&block);
                self.last = Some((block.height, Instant::now()));
                return Ok(block);
            }
            tokio::time::sleep(self.pause(busy)).await;
        }
    }
}

impl BlockSource for Poller {
    fn next(&mut self, busy: bool) -> NextBlock<'_> {
        Box::pin(self.poll(busy))
    }
}

/// The longest pause because blocks take long. However many blocks a node has made up, the worker
/// soon sees the true ones.
const MOST_PAUSE: Duration = Duration::from_secs(2);

/// How long a block takes, by the timestamps of the last ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockTime {
    seen: VecDeque<(u64, u64)>,
}

/// The longest time of a block that is believed: a chain may stand still for hours, and a node
/// may give any timestamps, but the worker looks again soon.
const MOST_NANOS: u64 = 10_000_000_000;
/// What a block takes until it has been measured, nanoseconds.
const ASSUMED_NANOS: u64 = 600_000_000;
/// How many blocks are kept for the measurement.
const MOST_SEEN: usize = 64;

impl BlockTime {
    /// Notes the time of a block.
    pub(crate) fn note(&mut self, block: &Block) {
        // A block at or below the last one is of another fork.
        while self
            .seen
            .back()
            .is_some_and(|(height, time)| *height >= block.height || *time >= block.timestamp)
        {
            self.seen.pop_back();
        }
        self.seen.push_back((block.height, block.timestamp));
        if self.seen.len() > MOST_SEEN {
            self.seen.pop_front();
        }
    }

    /// The time of a block, nanoseconds: the median of those between the last blocks that were
    /// seen, since a single one that a node has made up would move their mean as far as it likes.
    pub(crate) fn nanos(&self) -> u64 {
        let pairs = self.seen.iter().zip(self.seen.iter().skip(1));
        let mut times: Vec<u64> = pairs
            .map(|((first, began), (last, now))| {
                now.saturating_sub(*began) / last.saturating_sub(*first).max(1)
            })
            .collect();
        let middle = times.len().saturating_sub(1) / 2;
        if times.is_empty() {
            return ASSUMED_NANOS;
        }
        let (_, median, _) = times.select_nth_unstable(middle);
        (*median).clamp(1, MOST_NANOS)
    }
}

#[cfg(test)]
mod tests {
    use outlayer_client::CryptoHash;

    use super::*;

    fn block(height: u64, timestamp: u64) -> Block {
        let hash = CryptoHash::default();
        Block { height, hash, prev_hash: hash, timestamp }
    }

    #[test]
    fn a_blocks_time_is_the_median_of_the_last_ones() {
        let mut times = BlockTime::default();
        assert_eq!(times.nanos(), ASSUMED_NANOS);
        times.note(&block(10, 1_000));
        assert_eq!(times.nanos(), ASSUMED_NANOS);
        times.note(&block(12, 3_000));
        times.note(&block(13, 5_500));
        assert_eq!(times.nanos(), 1_000);
        // A reorg replaces the last two.
        times.note(&block(11, 1_700));
        assert_eq!(times.nanos(), 700);
        // Only the last ones count, and a clock that stands still is not divided by.
        for height in 20..200 {
            times.note(&block(height, height * 100_000));
        }
        assert_eq!(times.nanos(), 100_000);
        times.note(&block(500, 0));
        assert_eq!(times.nanos(), ASSUMED_NANOS);
    }

    #[test]
    fn a_node_is_asked_four_times_a_block_while_there_is_work_and_once_without() {
        let node = Node::new(&outlayer_client::NodeConfig::new("http://localhost:1")).unwrap();
        let millis = Duration::from_millis;
        // The interval and the time of a block, and the pauses with work and without.
        for (interval, block_ms, busy, idle) in [
            (500, 600, 150, 600),
            (100, 600, 100, 600),
            (500, 8, 2, 500),
            (500, 4, 2, 500),
            (500, 60_000, 500, 2_000),
        ] {
            let mut poller = Poller::new(node.clone(), At::Optimistic, millis(interval));
            for height in 1..4 {
                poller.times.note(&block(height, height * block_ms * 1_000_000));
            }
            let pauses = [poller.pause(true), poller.pause(false)];
            assert_eq!(pauses, [millis(busy), millis(idle)], "blocks of {block_ms} ms");
        }
    }

    #[test]
    fn no_timestamps_make_the_worker_sleep_for_long() {
        let mut times = BlockTime::default();
        times.note(&block(10, 1));
        times.note(&block(11, u64::MAX));
        assert_eq!(times.nanos(), MOST_NANOS);
        // One block that was made up, below all others, changes nothing.
        let mut times = BlockTime::default();
        times.note(&block(1, 1));
        for height in 1_000..1_003 {
            times.note(&block(height, (1 << 60) + height * 600));
        }
        assert_eq!(times.nanos(), 600);
    }
}
