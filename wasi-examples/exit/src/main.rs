//! Writes an output, then exits with the code that the input names. The outcome of `0` is
//! `Completed`, and that of any other code is `Exited`.

use std::{io, process};

use outlayer_sdk::{input, output};

fn main() -> io::Result<()> {
    let text = input::text()?;
    let code: i32 = text.trim().parse().map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("exit code {text:?}: {error}"))
    })?;
    output::write(format!("exiting with {code}"));
    process::exit(code)
}
