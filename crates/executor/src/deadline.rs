//! How long an execution may take.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use outlayer_guest::Fault;

/// The host's patience with one guest. It is a safety net and no part of a verdict.
pub(crate) struct Deadline {
    began: Instant,
    allowed: Duration,
    /// What the guest has waited for the host, nanoseconds. It is not the guest's time.
    waited: AtomicU64,
}

impl Deadline {
    /// From now on, the guest may run for so long.
    pub(crate) fn new(allowed: Duration) -> Self {
        Self { began: Instant::now(), allowed, waited: AtomicU64::new(0) }
    }

    /// The guest has waited for the host since then.
    pub(crate) fn waited_since(&self, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Whether there is time left.
    ///
    /// # Errors
    /// [`Fault::Deadline`].
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let waited = Duration::from_nanos(self.waited.load(Ordering::Relaxed));
        if self.began.elapsed().saturating_sub(waited) > self.allowed {
            return Err(Fault::Deadline(self.allowed));
        }
        Ok(())
    }
}
