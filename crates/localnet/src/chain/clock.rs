//! The chain's time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much time passes on the chain for each height that `sandbox_fast_forward` leaves out: the
/// middle of nearcore's shortest and longest block production delays (120 and 500 ms).
pub const SKIPPED_HEIGHT: Duration = Duration::from_millis(310);

/// How far a chain's time moves with each block when it does not follow the system's clock.
pub const FIXED_STEP: Duration = Duration::from_millis(600);

/// Where blocks take their timestamps from.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// Nanoseconds by which jumps have moved the chain ahead of its source.
    ahead: u64,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    System,
    Stepping,
}

impl Clock {
    /// Follows the system's clock.
    pub fn system() -> Self {
        Self { source: Source::System, ahead: 0 }
    }

    /// Moves [`FIXED_STEP`] with each block, whatever the time is.
    pub fn stepping() -> Self {
        Self { source: Source::Stepping, ahead: 0 }
    }

    /// By how many nanoseconds the chain is ahead of its source.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// A clock of the same source that is so many nanoseconds ahead of it.
    pub(super) fn with_ahead(&self, ahead: u64) -> Self {
        Self { source: self.source, ahead }
    }

    /// Moves the chain ahead, from the next block on.
    pub fn advance(&mut self, by: Duration) {
        self.ahead = self.ahead.saturating_add(nanos(by));
    }

    /// The timestamp of the block above one with timestamp `prev`: later in any case.
    pub fn next_timestamp(&mut self, prev: u64) -> u64 {
        let now = match self.source {
            Source::System => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                nanos(now).saturating_add(self.ahead)
            }
            Source::Stepping => {
                // What was jumped over is in `prev` from here on.
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
