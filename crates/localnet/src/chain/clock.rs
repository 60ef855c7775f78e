//! The chain's time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much time passes on the chain for each height that `sandbox_fast_forward` skips: the mean of
/// nearcore's shortest and longest block production delays (120 and 500 ms).
pub const SKIPPED_HEIGHT: Duration = Duration::from_millis(310);

/// NEAR's block time. The time of a chain that does not follow the system's clock moves by this
/// much with each block.
pub const FIXED_STEP: Duration = Duration::from_millis(600);

/// The source of the blocks' timestamps.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// How many nanoseconds the chain is ahead of its source, because time was advanced.
    ahead: u64,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    System,
    Stepping,
}

impl Clock {
    /// A clock that follows the system's.
    pub fn system() -> Self {
        Self { source: Source::System, ahead: 0 }
    }

    /// A clock that moves by [`FIXED_STEP`] with each block and ignores the system's.
    pub fn stepping() -> Self {
        Self { source: Source::Stepping, ahead: 0 }
    }

    /// How many nanoseconds the chain is ahead of its source.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// A clock with the same source that is `ahead` nanoseconds ahead of it.
    pub(super) fn with_ahead(&self, ahead: u64) -> Self {
        Self { source: self.source, ahead }
    }

    /// Moves the chain's time forward, from the next block on.
    pub fn advance(&mut self, by: Duration) {
        self.ahead = self.ahead.saturating_add(nanos(by));
    }

    /// The timestamp of the block above one whose timestamp is `prev`. It is always later than
    /// `prev`.
    pub fn next_timestamp(&mut self, prev: u64) -> u64 {
        let now = match self.source {
            Source::System => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                nanos(now).saturating_add(self.ahead)
            }
            Source::Stepping => {
                // From the next block on, `prev` includes the time that was advanced.
                let ahead = std::mem::take(&mut self.ahead);
                prev.saturating_add(nanos(FIXED_STEP)).saturating_add(ahead)
            }
        };
        now.max(prev.saturating_add(1))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_stands_still() {
        let mut clock = Clock::system();
        let future = u64::MAX / 2;
        assert_eq!(clock.next_timestamp(future), future + 1);
    }

    #[test]
    fn a_jump_counts_once() {
        let mut clock = Clock::stepping();
        clock.advance(Duration::from_secs(3));
        assert_eq!(clock.next_timestamp(0), 3_600_000_000);
        assert_eq!(clock.next_timestamp(3_600_000_000), 4_200_000_000);
    }
}
