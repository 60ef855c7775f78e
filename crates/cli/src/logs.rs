//! The command's logs.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Sends logs to stderr, filtered by `RUST_LOG`, or by `default` (such as `info`) when it is not
/// set.
pub(crate) fn init(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // In a log that a program reads, colours would stand between a field's name and its value.
    let colours = io::stderr().is_terminal();
    // A program that calls this library may have set up logging already. Then that stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(io::stderr)
        .try_init();
}
