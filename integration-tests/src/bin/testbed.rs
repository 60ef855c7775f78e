//! The programs that the tests run as processes of their own, in one binary. `testbed outlayer …`
//! is the command `outlayer`, which has the worker's daemon in it, and `testbed sandbox-child` the
//! process in which it runs guests. Everything else is the node, with near-sandbox's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("outlayer") => outlayer::main_from(std::env::args_os().skip(1)),
        Some(outlayer::SANDBOX_CHILD) => outlayer::main(),
        _ => outlayer_localnet::cli::main(),
    }
}
