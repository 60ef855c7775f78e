//! The input that the request carries, on stdin.

use std::io::{self, Read};

/// The whole input.
///
/// # Errors
///
/// An error of the standard input, which OutLayer never gives.
pub fn bytes() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The whole input as text.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] when the input is not UTF-8.
pub fn text() -> io::Result<String> {
    io::read_to_string(io::stdin().lock())
}
