//! Answers with its input, byte for byte.

use std::io;

use outlayer_sdk::{input, output};

fn main() -> io::Result<()> {
    output::write(input::bytes()?);
    Ok(())
}
