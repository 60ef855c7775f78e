//! The `outlayer` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    outlayer::main()
}
