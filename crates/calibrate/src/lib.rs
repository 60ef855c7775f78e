//! Measures how NEAR's gas and the executor's fuel relate, on the kernels of `outlayer-kernels`.
//!
//! Each kernel is one core module. The same bytes run through near-vm-runner, as on a node, through
//! the executor's gas meter, and through its fuel meter; an interpreter counts the operators that
//! they execute ([`operators`]). [`Calibration`] measures, [`ratios`] compares, and [`report`]
//! makes the table, its summary and the plot. The command `outlayer-calibrate` does all of it;
//! `results/` holds what it wrote.
//!
//! [`time`] asks another question, how long a unit of fuel takes at most; the command is
//! `outlayer-time-per-unit`.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
mod measure;
pub mod operators;
mod plot;
pub mod ratios;
pub mod report;
pub mod time;

pub use error::CalibrationError;
pub use measure::{Calibration, DEFAULT_RUNS, Measurement};
