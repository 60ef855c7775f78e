//! The deterministic engine, tried with guests of every kind: what they see, use and leave.
//!
//! This is one program, because each links the whole engine, which takes seconds and 150 MB. What
//! needs a process of its own is beside this folder: `time_per_unit` waits for any of its children.
//! `engine_version` is the command that records a new version's results.
#![allow(clippy::unwrap_used)]

mod backtrace;
mod billing;
mod bytes;
mod cache;
#[path = "../common/mod.rs"]
mod common;
mod component;
mod component_host;
mod component_meter;
mod composition;
mod cross_engine;
mod determinism;
mod features;
mod floats;
mod frames;
mod gas;
mod gas_generated;
mod http;
mod http_component;
mod limits;
mod near;
mod plans;
mod profile;
mod storage;
mod tenants;
mod wasi_clocks;
mod wasi_io;
mod wasi_p2;
