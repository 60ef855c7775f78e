//! The virtual clock.

/// The monotonic clock moves this far with each reading, nanoseconds.
pub const CLOCK_STEP_NANOS: u64 = 1_000;

/// One clock, seen in two ways: monotonic time since the execution began, and wall-clock time,
/// which is the same added to the timestamp of the request's block.
///
/// It moves in three ways only. Each reading moves it by [`CLOCK_STEP_NANOS`] after it is taken, so
/// that a guest that waits for time to pass does not wait for ever. Sleeping moves it to the time
/// at which the sleep ends, and an HTTP exchange by a fixed time.
#[derive(Clone, Debug)]
pub struct Clock {
    block_timestamp: u64,
    elapsed: u64,
}

impl Clock {
    /// The clock at the start of an execution. The timestamp is the block's, in nanoseconds since
    /// the Unix epoch.
    pub fn new(block_timestamp: u64) -> Self {
        Self { block_timestamp, elapsed: 0 }
    }

    /// Reads monotonic time, nanoseconds.
    pub fn read_monotonic(&mut self) -> u64 {
        let now = self.elapsed;
        self.elapsed = now.saturating_add(CLOCK_STEP_NANOS);
        now
    }

    /// Reads wall-clock time, nanoseconds since the Unix epoch.
    pub fn read_realtime(&mut self) -> u64 {
        self.block_timestamp.saturating_add(self.read_monotonic())
    }

    /// Monotonic time, nanoseconds, without moving the clock.
    pub fn monotonic(&self) -> u64 {
        self.elapsed
    }

    /// The monotonic time at which wall-clock time is `timestamp`; 0 when that was before the
    /// execution.
    pub fn monotonic_at(&self, timestamp: u64) -> u64 {
        timestamp.saturating_sub(self.block_timestamp)
    }

    /// Lets so much time pass, nanoseconds.
    pub fn pass(&mut self, nanos: u64) {
        self.elapsed = self.elapsed.saturating_add(nanos);
    }

    /// Sleeps until monotonic time is `deadline`. The sleep takes no time.
    pub fn sleep_until(&mut self, deadline: u64) {
        self.elapsed = self.elapsed.max(deadline);
    }
}
