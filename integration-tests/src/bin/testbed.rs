//! The programs that the tests run as processes of their own, in one binary. `testbed outlayer …`
//! is the command `outlayer`, which has the worker's daemon in it, and `testbed sandbox-child` the
//! process in which it runs guests. Everything else is the node, with near-sandbox's command line.
//!
//! Under the name of [`CLAIMS_ENGINE`] and a number, a link to this program is a sandbox's child
//! that claims to have the engine of this version. It has this build's: tests of an upgrade need
//! two versions, of which this tree has one.

use std::{path::Path, process::ExitCode};

use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_guest::EngineId;
use outlayer_integration_tests::node::CLAIMS_ENGINE;
use outlayer_protocol::EngineVersion;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("outlayer") => outlayer::main_from(std::env::args_os().skip(1)),
        Some(outlayer::SANDBOX_CHILD) => match claimed() {
            Some(version) => serve_as(version),
            None => outlayer::main(),
        },
        _ => outlayer_localnet::cli::main(),
    }
}

/// The engine version that this program is named for.
fn claimed() -> Option<EngineVersion> {
    let program = std::env::args_os().next()?;
    let name = Path::new(&program).file_name()?.to_str()?;
    name.strip_prefix(CLAIMS_ENGINE)?.parse().ok().map(EngineVersion)
}

/// Serves as a child that claims to have this version.
fn serve_as(version: EngineVersion) -> ExitCode {
    let id = EngineId { version, ..EngineId::OWN };
    let served = outlayer_sandbox::serve(id, |settings, scratch_dir| {
        Executor::new(ExecutorConfig {
            deadline: settings.deadline(),
            interruptible: false,
            scratch_dir: Some(scratch_dir),
            ..ExecutorConfig::default()
        })
        .map_err(|error| error.to_string())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
