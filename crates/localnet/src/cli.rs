//! The command line, compatible with the `near-sandbox` binary.

use crate::chain::MAX_PROTOCOL_VERSION;
use crate::home::{Home, InitOptions, default_contract_cache};
use crate::node::{BlockProduction, DEFAULT_HEARTBEAT};
use crate::spawn::{Config, spawn};
use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A NEAR node for tests: one process, no network, blocks as soon as there is work.
#[derive(Debug, Parser)]
#[command(name = "localnet", version)]
struct Cli {
    /// The directory that holds the chain's genesis and keys.
    #[arg(long, global = true, env = "LOCALNET_HOME")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the files of a new chain.
    Init(Init),
    /// Runs the chain.
    Run(Run),
}

#[derive(Debug, Args)]
struct Init {
    /// Accepted for compatibility: every new chain is a quick one.
    #[arg(long)]
    fast: bool,
    /// The chain's id; made up when absent.
    #[arg(long)]
    chain_id: Option<String>,
    /// The protocol version, 84 to 88.
    #[arg(long, env = "LOCALNET_PROTOCOL_VERSION", default_value_t = MAX_PROTOCOL_VERSION)]
    protocol_version: u32,
    /// Makes keys, chain id and genesis time follow from this text.
    #[arg(long, env = "LOCALNET_SEED")]
    seed: Option<String>,
}

#[derive(Debug, Args)]
struct Run {
    /// Where the RPC listens.
    #[arg(long, default_value = "127.0.0.1:3030")]
    rpc_addr: SocketAddr,
    /// Accepted for compatibility: the node has no peers.
    #[arg(long)]
    network_addr: Option<String>,
    /// `instant` (a block as soon as there is work), or a time between blocks such as `600ms`.
    #[arg(long, env = "LOCALNET_BLOCK_TIME", default_value = "instant")]
    block_time: String,
    /// With instant blocks: the longest time between two, or `never`.
    #[arg(long, env = "LOCALNET_HEARTBEAT")]
    heartbeat: Option<String>,
    /// Makes time follow from the heights; give the same one to `init`.
    #[arg(long, env = "LOCALNET_SEED")]
    seed: Option<String>,
    /// Keeps the chain in a directory, and goes on from there when it holds one. Without --home the
    /// genesis and keys are in it as well, and are made when they are missing.
    #[arg(long, env = "LOCALNET_STATE")]
    state: Option<PathBuf>,
    /// How many blocks are remembered.
    #[arg(long, env = "LOCALNET_WINDOW", default_value_t = crate::chain::DEFAULT_WINDOW)]
    window: usize,
    /// Where compiled contracts are kept across runs; `none` keeps them in memory.
    #[arg(long, env = "LOCALNET_CONTRACT_CACHE")]
    contract_cache: Option<PathBuf>,
}

/// The whole program: reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("localnet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let within_state = match &cli.command {
        Command::Run(Run { state, .. }) => state.as_ref().map(|state| state.join("home")),
        Command::Init(_) => None,
    };
    let given = cli.home.is_some();
    let home = match cli.home.or(within_state) {
        Some(home) => home,
        None => std::env::var_os("HOME")
            .map(|dir| PathBuf::from(dir).join(".localnet"))
            .context("--home DIR says where the chain is; it has no default without HOME")?,
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
        Command::Run(run) => {
            let made_here = run.state.is_some() && !given;
            if !made_here && !Home::new(&home).exists() {
                bail!(
                    "{} holds no genesis.json; run `localnet --home DIR init` first",
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
                contract_cache: match run.contract_cache {
                    Some(path) if path.as_os_str() == "none" => None,
                    Some(path) => Some(path),
                    None => Some(default_contract_cache()),
                },
                ..Config::default()
            };
            let handle = spawn(config)?;
            tracing::info!(url = handle.rpc_url(), "ready");
            // The node runs on threads of its own until the process is killed.
            loop {
                std::thread::park();
            }
        }
    }
}

fn production(block_time: &str, heartbeat: Option<&str>) -> anyhow::Result<BlockProduction> {
    if block_time != "instant" {
        return Ok(BlockProduction::Timer(duration(block_time).context("--block-time")?));
    }
    let heartbeat = match heartbeat {
        None => Some(DEFAULT_HEARTBEAT),
        Some("never") => None,
        Some(text) => Some(duration(text).context("--heartbeat")?),
    };
    Ok(BlockProduction::Instant { heartbeat })
}

/// A time such as `600ms` or `2s`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let value: u64 =
        number.parse().with_context(|| format!("{text:?} is no time such as 600ms or 2s"))?;
    let time = match unit {
        "ms" => Duration::from_millis(value),
        "s" => Duration::from_secs(value),
        _ => bail!("{text:?} has the unit {unit:?}; ms and s are known"),
    };
    if time.is_zero() {
        bail!("{text:?} is no time at all; 1ms is the shortest");
    }
    Ok(time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::CommandFactory;

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
