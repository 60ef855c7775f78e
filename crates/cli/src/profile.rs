//! `outlayer run --profile`: what each function of a guest used.

use std::sync::{Mutex, PoisonError};

use outlayer_executor::{Executor, NoProfile, Profile};
use outlayer_guest::{Engine, Execution, Fault, Job, Snapshot};
use serde::Serialize;

use crate::print;

/// How many functions people are shown.
const SHOWN: usize = 20;

/// An engine that keeps the profile of what it executed last.
pub(crate) struct Profiler {
    executor: Executor,
    last: Mutex<Option<Profile>>,
}

impl Profiler {
    pub(crate) fn new(executor: Executor) -> Self {
        Self { executor, last: Mutex::default() }
    }

    /// The profile of the last execution, if its guest ran.
    pub(crate) fn profile(&self) -> Option<Profile> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Engine for Profiler {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        match self.executor.profile(job, snapshot)? {
            Ok((execution, profile)) => {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(profile);
                Ok(execution)
            }
            Err(NoProfile::Rejected(status)) => Ok(Execution::without_running(job, status)),
            Err(no_profile @ NoProfile::Kind(..)) => Err(Fault::engine(no_profile)),
        }
    }
}

/// A profile, as JSON shows it.
#[derive(Serialize)]
pub(crate) struct Shown {
    functions: Vec<Row>,
    /// What host functions and pages of memory cost.
    host: u64,
}

#[derive(Serialize)]
struct Row {
    function: String,
    fuel: u64,
}

impl From<Profile> for Shown {
    fn from(profile: Profile) -> Self {
        let row = |function: outlayer_executor::FunctionFuel| Row {
            function: function.function,
            fuel: function.fuel,
        };
        Self { functions: profile.functions.into_iter().map(row).collect(), host: profile.host }
    }
}

impl Shown {
    /// A table of the functions that used most.
    pub(crate) fn show(&self) {
        let functions: u64 = self.functions.iter().map(|row| row.fuel).sum();
        let all = functions.saturating_add(self.host);
        print::raw(format!("\n{:>15} {:>6}  function\n", "fuel", "share"));
        let line = |fuel: u64, what: &str| {
            let percent = fuel as f64 * 100.0 / all.max(1) as f64;
            print::raw(format!("{fuel:>15} {percent:>5.1}%  {what}\n"));
        };
        for row in self.functions.iter().take(SHOWN) {
            line(row.fuel, &row.function);
        }
        let rest: u64 = self.functions.iter().skip(SHOWN).map(|row| row.fuel).sum();
        if rest > 0 {
            line(rest, &format!("({} more functions)", self.functions.len() - SHOWN));
        }
        line(self.host, "(host functions and growth)");
    }
}
