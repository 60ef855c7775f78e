//! The command as a process, most of it beside a node that says what a test tells it to.
#![allow(missing_docs, clippy::unwrap_used)]

mod daemon;
mod fake;
mod http;
mod inspect;
mod output;
mod secrets;
mod settings;
mod testkit;
