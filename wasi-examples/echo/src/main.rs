//! Answers with its input, whatever it is.

use std::io;

use outlayer_sdk::{input, output};

fn main() -> io::Result<()> {
    output::write(input::bytes()?);
    Ok(())
}
