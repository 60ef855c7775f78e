//! The input that the request carries, which the guest reads from stdin.

use std::io::{self, Read};

/// The whole input.
///
/// # Errors
///
/// An error of standard input. OutLayer never causes one.
pub fn bytes() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The whole input as text.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] when the input is not valid UTF-8.
pub fn text() -> io::Result<String> {
    io::read_to_string(io::stdin().lock())
}
