//! How fast the engine is: `cargo bench --workspace --profile dev --bench executor`. BENCHMARKS.md
//! has the figures.

#![allow(clippy::unwrap_used, missing_docs)]

mod compile;
mod guests;
mod metering;
mod throughput;
mod warm;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, warm::benches, compile::benches, metering::benches, throughput::benches);
criterion_main!(benches);
