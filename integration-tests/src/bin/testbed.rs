//! One binary for what the tests run as processes of their own: `testbed outlayer …` is the command-line tool, with
//! the worker's daemon in it, and anything else the node, under near-sandbox's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("outlayer") => outlayer::main_from(std::env::args_os().skip(1)),
        _ => outlayer_localnet::cli::main(),
    }
}
