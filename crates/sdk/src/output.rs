//! The output, on stdout, and the log, on stderr.
//!
//! The output goes to the caller when the request settles. The log does not: its hash is bound into
//! the execution's record, and its text is there for whoever runs or replays the guest.

use std::io::{self, Write};

use crate::host;

/// Appends to the output. `print!` does the same.
///
/// Where the output is larger than the request's limit, the host ends the execution
/// (outcome `LimitExceeded`).
///
/// # Panics
///
/// When stdout does not take the bytes, which OutLayer never causes.
pub fn write(bytes: impl AsRef<[u8]>) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(bytes.as_ref()).and_then(|()| stdout.flush()) {
        panic!("the output cannot be written: {error}");
    }
}

/// Appends a line to the log. `eprintln!` does the same.
pub fn log(line: impl AsRef<str>) {
    host::log(line.as_ref());
}
