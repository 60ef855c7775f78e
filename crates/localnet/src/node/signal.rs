//! How the thread that produces blocks learns that there is work, and that it has to stop.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::lock::lock;

/// Wakes the thread that produces blocks.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// Set when work was added since the thread last looked.
    work: Mutex<bool>,
    added: Condvar,
    stopped: AtomicBool,
}

impl Signal {
    /// Notes that there is new work.
    pub(super) fn wake(&self) {
        *lock(&self.work) = true;
        self.added.notify_all();
    }

    /// Asks the thread to end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether the thread has been asked to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits for new work, but no longer than `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let mut work = lock(&self.work);
        if !*work {
            work = self.added.wait_timeout(work, timeout).unwrap_or_else(PoisonError::into_inner).0;
        }
        *work = false;
    }
}
