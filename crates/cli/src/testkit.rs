//! `outlayer testkit`: what the crate `outlayer-testkit` asks of the command, so that a dApp's
//! tests compile no engine. It is hidden, because it is no command for people.
//!
//! What runs here ends when its standard input is closed. A test that is killed closes it, too, so
//! nothing outlives its test.

use std::{
    ffi::OsString,
    io::{self, Read as _},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_localnet::{Config, node::BlockProduction};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;

use crate::print;

#[derive(Debug, Subcommand)]
pub(crate) enum TestkitCommand {
    /// Print the versions of the command and of its engine
    About,
    /// Run a NEAR node in a temporary folder, and print its URL and folder
    Node(NodeArgs),
    /// Run another command of `outlayer`
    Run {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Milliseconds between two blocks [default: a block as soon as there is work]
    #[arg(long)]
    block_time: Option<u64>,
    /// The protocol version of the network
    #[arg(long, env = "LOCALNET_PROTOCOL_VERSION")]
    protocol_version: Option<u32>,
}

impl TestkitCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        match self {
            Self::About => print::json(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "engine_version": ENGINE_VERSION,
                "near_config_version": NEAR_CONFIG_VERSION,
                "contract_sha256": outlayer_contract_wasm::SHA256,
            }))?,
            Self::Node(args) => run_node(&args)?,
            Self::Run { command } => {
                thread::Builder::new().name("stdin".to_owned()).spawn(end_with_input)?;
                let name = [OsString::from("outlayer")];
                let code = crate::main_from(name.into_iter().chain(command));
                return Ok(code == ExitCode::SUCCESS);
            }
        }
        Ok(true)
    }
}

fn run_node(args: &NodeArgs) -> anyhow::Result<()> {
    let mut config = Config::default();
    if let Some(millis) = args.block_time {
        anyhow::ensure!(millis > 0, "--block-time is 0, expected a millisecond or more");
        config.production = BlockProduction::Timer(Duration::from_millis(millis));
    }
    config.protocol_version = args.protocol_version.unwrap_or(config.protocol_version);
    let node = outlayer_localnet::spawn(config).context("the node does not start")?;
    // One line, so that its reader knows when it has all of it.
    print::raw(format_args!("{}\n", json!({ "rpc_url": node.rpc_url(), "home": node.home() })));
    wait_for_end_of_input();
    Ok(())
}

/// Asks this process to stop, in the way in which an operator does, when its input ends.
fn end_with_input() {
    wait_for_end_of_input();
    if kill_process(getpid(), Signal::TERM).is_err() {
        std::process::exit(1);
    }
}

fn wait_for_end_of_input() {
    let mut input = io::stdin().lock();
    let mut ignored = [0; 256];
    loop {
        match input.read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
