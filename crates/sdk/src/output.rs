//! The output, on stdout, and the log, on stderr.
//!
//! The output goes to the caller when the request settles. The log does not: the execution's record
//! holds its hash, and only those who run or replay the guest see its text.

use std::io::{self, Write};

use crate::host;

/// Appends to the output. `print!` does the same.
///
/// If the output becomes larger than the request's limit, the host ends the execution
/// (outcome `LimitExceeded`).
///
/// # Panics
///
/// When stdout does not accept the bytes. OutLayer never causes that.
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
