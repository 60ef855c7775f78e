//! What the log is told while large code is compiled.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use outlayer_guest::Job;
use outlayer_protocol::Hash32;

/// Code of so many bytes takes seconds to compile.
const LARGE_CODE_BYTES: usize = 4 << 20;
/// How often the log says that an execution goes on.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Tells the log how an execution of large code goes on, which may have to be compiled first.
pub(crate) struct Progress {
    code: Hash32,
    bytes: usize,
    pub(crate) is_large: bool,
    began: Instant,
    told: Cell<u32>,
}

impl Progress {
    pub(crate) fn new(job: &Job<'_>) -> Self {
        let (code, bytes) = (job.code.hash(), job.code.bytes().len());
        let is_large = bytes >= LARGE_CODE_BYTES;
        Self { code, bytes, is_large, began: Instant::now(), told: Cell::new(0) }
    }

    pub(crate) fn tell(&self) {
        let took = self.began.elapsed();
        let due = PROGRESS_EVERY.saturating_mul(self.told.get().saturating_add(1));
        if took >= due {
            self.told.set(self.told.get().saturating_add(1));
            tracing::info!(code = %self.code, bytes = self.bytes, ?took, "compiling or executing");
        }
    }
}
