//! The `localnet` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    outlayer_localnet::cli::main()
}
