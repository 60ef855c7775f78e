//! The commands for operators as processes, beside a node that says what a test tells it to.
#![allow(clippy::unwrap_used)]

mod daemon;
mod fake;
mod inspect;
mod secrets;
