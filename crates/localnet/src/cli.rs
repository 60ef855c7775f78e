//! The command line, compatible with the `near-sandbox` binary.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::{
    chain::{DEFAULT_WINDOW, MAX_PROTOCOL_VERSION},
    config::{Config, default_contract_cache},
    home::{Home, InitOptions},
    import,
    node::{BlockProduction, DEFAULT_HEARTBEAT},
    remote::{block_on, running},
    spawn::spawn,
};

/// A NEAR node for tests: one process, no network, and blocks as soon as there is work.
#[derive(Debug, Parser)]
#[command(name = "localnet", version)]
struct Cli {
    /// The directory with the chain's genesis and keys
    #[arg(long, global = true, env = "LOCALNET_HOME")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates the files of a new chain.
    Init(Init),
    /// Runs the chain.
    Run(Run),
    /// Puts accounts of another network into the chain, with their code and state.
    ///
    /// They go into the node that runs on the home directory, or else into its genesis. The key in
    /// `validator_key.json` has full access to them, in place of their own keys.
    Import(import::Args),
    /// Reads the state of the node that runs on the home directory.
    #[command(subcommand)]
    ViewState(ViewState),
}

#[derive(Debug, Subcommand)]
enum ViewState {
    /// Writes the state after the newest block to `output.json` in the home directory, as records
    /// of a genesis.
    DumpState,
}

#[derive(Debug, Args)]
struct Init {
    /// Accepted for compatibility; every new chain is a fast one.
    #[arg(long)]
    fast: bool,
    /// The chain's id; derived from the seed, or random, when absent.
    #[arg(long)]
    chain_id: Option<String>,
    /// The protocol version, from 84 to 88.
    #[arg(long, env = "LOCALNET_PROTOCOL_VERSION", default_value_t = MAX_PROTOCOL_VERSION)]
    protocol_version: u32,
    /// Derives the keys, the chain id and the genesis time from this text.
    #[arg(long, env = "LOCALNET_SEED")]
    seed: Option<String>,
}

#[derive(Debug, Args)]
struct Run {
    /// The address that the RPC listens on.
    #[arg(long, default_value = "127.0.0.1:3030")]
    rpc_addr: SocketAddr,
    /// Accepted for compatibility; the node has no peers.
    #[arg(long)]
    network_addr: Option<String>,
    /// `instant` (a block as soon as there is work), or the time between blocks, such as `600ms`.
    #[arg(long, env = "LOCALNET_BLOCK_TIME", default_value = "instant")]
    block_time: String,
    /// With instant blocks: the longest time between two blocks, or `never`.
    #[arg(long, env = "LOCALNET_HEARTBEAT")]
    heartbeat: Option<String>,
    /// Derives block times from the heights; give the same text to `init`.
    #[arg(long, env = "LOCALNET_SEED")]
    seed: Option<String>,
    /// The directory in which the chain is kept; a chain that is there already is continued.
    ///
    /// Without --home, the genesis and keys are kept there too; they are created when they are
    /// missing.
    #[arg(long, env = "LOCALNET_STATE")]
    state: Option<PathBuf>,
    /// How many blocks are kept.
    #[arg(long, env = "LOCALNET_WINDOW", default_value_t = DEFAULT_WINDOW)]
    window: usize,
    /// The directory for compiled contracts; `none` keeps them in memory.
    #[arg(long, env = "LOCALNET_CONTRACT_CACHE")]
    contract_cache: Option<PathBuf>,
    /// Files with Wasm that are global contracts from the genesis block on, under their hashes.
    #[arg(long = "global-contract", env = "LOCALNET_GLOBAL_CONTRACTS", value_delimiter = ',')]
    global_contracts: Vec<PathBuf>,
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The text of each error includes its cause.
            eprintln!("localnet: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let within_state = match &cli.command {
        Command::Run(Run { state, .. }) => state.as_ref().map(|state| state.join("home")),
        Command::Init(_) | Command::Import(_) | Command::ViewState(_) => None,
    };
    let given = cli.home.is_some();
    let home = match cli.home.or(within_state) {
        Some(home) => home,
        None => std::env::var_os("HOME")
            .map(|dir| PathBuf::from(dir).join(".localnet"))
            .context("give the home directory with --home DIR; it has no default without HOME")?,
    };
    match cli.command {
        Command::Init(init) => {
            Home::new(home).init(&InitOptions {
                chain_id: init.chain_id,
                protocol_version: init.protocol_version,
                seed: init.seed,
            })?;
            Ok(())
        }
        Command::Import(args) => block_on(import::run(&Home::new(home), args))?,
        Command::ViewState(ViewState::DumpState) => block_on(dump_state(&Home::new(home)))?,
        Command::Run(run) => {
            let created_by_spawn = run.state.is_some() && !given;
            if !created_by_spawn && !Home::new(&home).exists() {
                bail!(
                    "there is no genesis.json in {}; run `localnet --home DIR init` first",
                    home.display()
                );
            }
            let config = Config {
                rpc_addr: run.rpc_addr,
                home: Some(home),
                production: production(&run.block_time, run.heartbeat.as_deref())?,
                seed: run.seed,
                state: run.state,
                window: run.window,
                global_contracts: run.global_contracts,
                contract_cache: match run.contract_cache {
                    Some(path) if path.as_os_str() == "none" => None,
                    Some(path) => Some(path),
                    None => Some(default_contract_cache()),
                },
                ..Config::default()
            };
            let handle = spawn(config)?;
            tracing::info!(url = handle.rpc_url(), "ready");
            // The node runs on its own threads until the process is killed.
            loop {
                std::thread::park();
            }
        }
    }
}

async fn dump_state(home: &Home) -> anyhow::Result<()> {
    let Some(node) = running(home).await else {
        bail!(
            "no node runs on {}; start one with `localnet --home DIR run`",
            home.path().display()
        );
    };
    let state = node.call("localnet_records", json!([])).await;
    let state = state.map_err(|error| anyhow!("{error:#}"))?;
    println!("{}", home.write_state(&state)?.display());
    Ok(())
}

/// When blocks are produced, from `instant` or the time between two of them, such as `600ms`.
///
/// # Errors
/// Says what is wrong with the text.
pub fn block_production(text: &str) -> anyhow::Result<BlockProduction> {
    production(text, None)
}

fn production(block_time: &str, heartbeat: Option<&str>) -> anyhow::Result<BlockProduction> {
    if block_time != "instant" {
        return Ok(BlockProduction::Timer(duration("--block-time", block_time)?));
    }
    let heartbeat = match heartbeat {
        None => Some(DEFAULT_HEARTBEAT),
        Some("never") => None,
        Some(text) => Some(duration("--heartbeat", text)?),
    };
    Ok(BlockProduction::Instant { heartbeat })
}

/// Parses a time such as `600ms` or `2s` that was given for `option`.
fn duration(option: &str, text: &str) -> anyhow::Result<Duration> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let value: u64 = number
        .parse()
        .map_err(|_| anyhow!("{option}: {text:?} is not a time such as 600ms or 2s"))?;
    let time = match unit {
        "ms" => Duration::from_millis(value),
        "s" => Duration::from_secs(value),
        _ => bail!("{option}: {text:?} has the unit {unit:?}; use ms or s"),
    };
    if time.is_zero() {
        bail!("{option}: {text:?} is too short; the shortest time is 1ms");
    }
    Ok(time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn near_sandbox_s_command_lines_are_understood() {
        let init = Cli::try_parse_from(["near-sandbox", "--home", "/h", "init", "--fast"]).unwrap();
        assert!(matches!(init.command, Command::Init(Init { fast: true, .. })));
        let run = Cli::try_parse_from([
            "near-sandbox",
            "--home",
            "/h",
            "run",
            "--rpc-addr",
            "127.0.0.1:1",
            "--network-addr",
            "127.0.0.1:2",
        ])
        .unwrap();
        assert!(matches!(run.command, Command::Run(_)));
    }

    #[test]
    fn block_times_are_read() {
        assert_eq!(
            production("600ms", None).unwrap(),
            BlockProduction::Timer(Duration::from_millis(600))
        );
        assert_eq!(
            production("instant", Some("never")).unwrap(),
            BlockProduction::Instant { heartbeat: None }
        );
        for wrong in ["", "5", "ms", "0ms", "5m", "-1s"] {
            assert!(production(wrong, None).is_err(), "{wrong}");
        }
    }
}
