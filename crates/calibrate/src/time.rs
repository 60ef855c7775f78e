//! How long a unit of fuel takes at most: times guests that take as long as they can.
//!
//! The time of a unit is the slope between two runs of the same guest, one with the fuel for what
//! it does only once, and one with more, so that what a start takes is left out. Each run is
//! repeated, and the shortest counts: whatever else the machine does only makes a run longer. Where
//! Linux tells how long a thread had a processor, the time that it waited for one is left out.

use std::{
    fs,
    time::{Duration, Instant},
};

use outlayer_executor::{Code, EmptySnapshot, Executor, ExecutorConfig, Job};
use outlayer_kernels::worst::Worst;
use outlayer_protocol::{Compute, ResourceLimits, Status};

use crate::{CalibrationError, measure::context};

/// How a guest is timed.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The longer run is made to take this much longer than the other.
    pub at_least: Duration,
    /// How often each run is repeated.
    pub runs: u32,
}

/// What a guest took.
#[derive(Clone, Debug)]
pub struct Slope {
    /// Nanoseconds for a unit of fuel.
    pub nanos: f64,
    /// How the longer run ended.
    pub status: Status,
    /// What the longer run used.
    pub fuel: u64,
}

/// Times guests on one executor.
pub struct Stopwatch {
    executor: Executor,
    timing: Timing,
}

impl Stopwatch {
    /// Sets up an executor.
    ///
    /// # Errors
    /// [`CalibrationError::Engine`] when this machine cannot run one.
    pub fn new(timing: Timing) -> Result<Self, CalibrationError> {
        let config = ExecutorConfig { deadline: Duration::from_secs(600), ..Default::default() };
        let executor = Executor::new(config)
            .map_err(|error| CalibrationError::engine("the executor", error))?;
        Ok(Self { executor, timing })
    }

    /// The time for a unit of this guest's fuel. The shorter of the two runs has `setup` units,
    /// with which the guest has done what it does only once.
    ///
    /// # Errors
    /// [`CalibrationError::Engine`] when there is no verdict.
    pub fn slope(
        &self,
        guest: &Worst,
        memory_bytes: u64,
        setup: u64,
    ) -> Result<Slope, CalibrationError> {
        // Compiled here, and not in what is timed.
        self.run(guest, memory_bytes, 0)?;
        let (mut shorter, (began_with, _)) = self.run(guest, memory_bytes, setup)?;
        // Enough that what varies in the setup does not matter.
        let mut more = (setup / 4).max(100_000);
        let (mut longer, (fuel, status)) = loop {
            let ran = self.run(guest, memory_bytes, setup.saturating_add(more))?;
            let over = ran.0 >= shorter.saturating_add(self.timing.at_least);
            if over || ran.1.1 != Status::OutOfFuel {
                break ran;
            }
            more = more.saturating_mul(4);
        };
        for _ in 1..self.timing.runs {
            shorter = shorter.min(self.run(guest, memory_bytes, setup)?.0);
            longer = longer.min(self.run(guest, memory_bytes, setup.saturating_add(more))?.0);
        }
        let units = fuel.saturating_sub(began_with).max(1);
        let nanos = longer.saturating_sub(shorter).as_nanos() as f64 / units as f64;
        Ok(Slope { nanos, status, fuel })
    }

    /// Runs a guest once. Returns the time, what it used, and how it ended.
    ///
    /// # Errors
    /// As [`Self::slope`].
    pub fn run(
        &self,
        guest: &Worst,
        memory_bytes: u64,
        fuel: u64,
    ) -> Result<(Duration, (u64, Status)), CalibrationError> {
        let limits = ResourceLimits {
            compute: Compute::Fuel(fuel),
            // Some of the guests have a few pages whatever is asked for.
            memory_bytes: memory_bytes.max(64 << 20),
            host_calls: u64::MAX,
            storage_reads: 1_000,
            storage_writes: 1_000,
            journal_bytes: 1 << 20,
            instances: 64,
            ..ResourceLimits::default()
        };
        let context = context(&guest.name)?;
        let job = Job::new(Code::of(&guest.wasm), &limits, &context);
        let began = (on_processor(), Instant::now());
        let execution = self
            .executor
            .execute(&job, &mut EmptySnapshot)
            .map_err(|fault| CalibrationError::kernel(&guest.name, fault))?;
        let took = match (began.0, on_processor()) {
            (Some(began), Some(ended)) => ended.saturating_sub(began),
            _ => began.1.elapsed(),
        };
        Ok((took, (execution.used.amount(), execution.status)))
    }
}

/// How long this thread has run, where Linux tells: it does not count while others have the
/// processor.
fn on_processor() -> Option<Duration> {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = told.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
