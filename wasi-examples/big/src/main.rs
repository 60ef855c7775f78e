//! Answers with as many bytes as its input asks for: the alphabet, over and over, so that one can
//! see when a byte was lost or moved.

use std::io;

use outlayer_sdk::{input, output};

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

fn main() -> io::Result<()> {
    let text = input::text()?;
    let length: usize = text.trim().parse().map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("length {text:?}: {error}"))
    })?;
    let mut bytes = ALPHABET.repeat(length.div_ceil(ALPHABET.len()));
    bytes.truncate(length);
    output::write(bytes);
    Ok(())
}
