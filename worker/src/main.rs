//! The worker's daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    outlayer_worker::cli::main()
}
