//! Measures how NEAR's gas and the executor's fuel relate, on a corpus of kernels.
//!
//! Each kernel ([`corpus`]) is one core module: the same bytes run through near-vm-runner as on a node, through the
//! executor's gas meter, and through its fuel meter, and an interpreter counts their operators
//! ([`operators`]). [`Calibration`] measures, [`report`] makes the table, its summary and the plot.
//! `outlayer calibrate` does all of it; `results/` holds what it wrote.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod corpus;
mod error;
mod measure;
pub mod node;
pub mod operators;
mod plot;
pub mod report;

pub use corpus::{Kernel, corpus};
pub use error::CalibrationError;
pub use measure::{Calibration, Measurement};
