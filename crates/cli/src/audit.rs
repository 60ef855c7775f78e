//! `outlayer audit`: replays all requests from one id to another.

use std::{collections::BTreeMap, io::IsTerminal as _};

use clap::Args;
use outlayer_client::{At, LocateError};
use outlayer_modules::{CodeConfig, CodeStore};
use outlayer_protocol::{RequestId, views::RequestState};
use outlayer_replay::{AuditError, Audited, ReplayError, Verdict, VerifyError, audit};
use serde_json::{Value, json};

use crate::{
    engine::{EngineArgs, OtherEngineArgs},
    exit::{self, Exit},
    network::{NetworkArgs, block_on},
    print,
    secrets::OpeningOptions,
};

/// Replay all requests from one id to another
///
/// It exits with 3 when any request was settled with what its guest does not do. Else, when some
/// could not be judged, it exits with the code of the first of them that could not (see `outlayer
/// --help`). A request whose guest was given secrets cannot be judged without their openings.
/// Requests that were settled without an execution count as neither.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The first request's id
    #[arg(long, default_value_t = 0)]
    from: RequestId,
    /// The last request's id [default: the newest request]
    #[arg(long)]
    to: Option<RequestId>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    openings: OpeningOptions,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    others: OtherEngineArgs,
    /// How many are replayed at a time [default: as many as this machine has cores]
    #[arg(long)]
    parallel: Option<usize>,
    /// Fetch code also from URLs inside this machine and its private networks
    #[arg(long)]
    allow_private_urls: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The name of what a request with secrets came to whose openings are not all given.
const SECRET_NEEDED: &str = "secret_needed";

/// The name of what a replay came to, and its code where that is an answer of its own.
fn judged(one: &Audited) -> (&'static str, Option<Exit>) {
    match &one.replayed {
        Ok(replay) => {
            let name = match replay.verdict {
                Verdict::Match => "match",
                Verdict::Mismatch { .. } => "mismatch",
                Verdict::NeedsEngine { .. } => "needs_engine",
                Verdict::SecretNeeded { .. } => SECRET_NEEDED,
                Verdict::NoExecution { .. } => "no_execution",
                Verdict::NotSettled => "not_settled",
                Verdict::Inconclusive { .. } => "inconclusive",
            };
            (name, exit::of_replay(replay))
        }
        Err(error) => match code_of(error) {
            Some(Exit::NoCode) => ("code_unavailable", Some(Exit::NoCode)),
            Some(Exit::Pruned) => ("pruned", Some(Exit::Pruned)),
            Some(Exit::No) => ("never_made", Some(Exit::No)),
            Some(Exit::SecretNeeded) => (SECRET_NEEDED, Some(Exit::SecretNeeded)),
            _ => ("failed", None),
        },
    }
}

/// The code of a failure. The errors are passed on as they are, so the text says the rest.
fn code_of(error: &AuditError) -> Option<Exit> {
    match error {
        AuditError::Locate(error) => exit::of_failure(&anyhow::Error::new(error.clone())),
        // Of several requests, each may pin another version of a secret.
        AuditError::Replay(ReplayError::Verify(VerifyError::Opening(_))) => {
            Some(Exit::SecretNeeded)
        }
        AuditError::Replay(error) => exit::of_replay_error(error),
        AuditError::Panic(_) => None,
    }
}

impl AuditArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        if let Some(to) = self.to.filter(|to| *to < self.from) {
            anyhow::bail!("found --to {to}, expected --from {} or more", self.from);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let parallel = self.parallel.unwrap_or(cores).max(1);
        let engines = self.engine.engines_of(parallel, &self.others.read()?)?;
        let codes = CodeStore::new(CodeConfig {
            cache_dir: self.engine.cache_dir.clone(),
            allow_private_urls: self.allow_private_urls,
            ..CodeConfig::default()
        })?;
        let openings = self.openings.read()?;
        let contract = self.network.contract()?;
        let audited = block_on(async move {
            let newest = newest(&contract, self.from).await?;
            let to = self.to.unwrap_or(newest);
            if to > newest {
                anyhow::bail!("request {to} was never made; the newest one is {newest}");
            }
            let total = to.saturating_sub(self.from).saturating_add(1);
            let (mut count, shows) = (0u64, std::io::stderr().is_terminal());
            let mut done = |one: &Audited| {
                count = count.saturating_add(1);
                let (name, _) = judged(one);
                if shows {
                    eprint!("\r{count} of {total}: request {} {name}          ", one.request_id);
                }
            };
            let ids = self.from..=to;
            let audited =
                audit(&contract, &codes, &engines, &openings, ids, parallel, &mut done).await;
            if shows {
                eprintln!();
            }
            Ok(audited)
        })?;
        report(&audited, self.json)?;
        let codes = || audited.iter().map(|one| judged(one).1);
        if codes().any(|code| code == Some(Exit::Mismatch)) {
            return exit::with(Some(Exit::Mismatch));
        }
        if audited.iter().any(|one| judged(one).0 == "failed") {
            anyhow::bail!("some requests could not be replayed; try again, or see what they say");
        }
        let open = |code: &Exit| !matches!(code, Exit::NoExecution | Exit::NotSettled);
        exit::with(codes().flatten().find(open))
    }
}

/// The id of the newest request, by doubling and then halving the distance.
async fn newest(
    contract: &outlayer_client::Contract,
    from: RequestId,
) -> anyhow::Result<RequestId> {
    let made = async |id: RequestId| {
        let state = contract.request_state(id, At::Final).await?;
        anyhow::Ok(!matches!(state, RequestState::NeverMade))
    };
    if !made(from).await? {
        return Err(LocateError::NeverMade { request_id: from }.into());
    }
    let (mut known, mut step) = (from, 1u64);
    while made(known.saturating_add(step)).await? && known < RequestId::MAX {
        known = known.saturating_add(step);
        step = step.saturating_mul(2);
    }
    let mut never = known.saturating_add(step);
    while never.saturating_sub(known) > 1 {
        let middle = known + (never - known) / 2;
        if made(middle).await? {
            known = middle;
        } else {
            never = middle;
        }
    }
    Ok(known)
}

fn report(audited: &[Audited], as_json: bool) -> anyhow::Result<()> {
    let mut summary: BTreeMap<&str, u64> = BTreeMap::new();
    for one in audited {
        let count = summary.entry(judged(one).0).or_default();
        *count = count.saturating_add(1);
    }
    if as_json {
        let all: Vec<Value> = audited.iter().map(one_json).collect();
        return print::json(&json!({ "summary": summary, "requests": all }));
    }
    for one in audited {
        let (name, _) = judged(one);
        if name == "match" {
            continue;
        }
        let why = match &one.replayed {
            Err(error) => format!(": {error}"),
            Ok(_) => String::new(),
        };
        let who = one.replayed.as_ref().ok().and_then(|replay| replay.completed.as_ref());
        let who = who.map_or_else(String::new, |event| format!(", settled by {}", event.worker_id));
        print::line(&format!("request {}", one.request_id), format!("{name}{who}{why}"));
    }
    for (name, count) in summary {
        print::line(name, count);
    }
    Ok(())
}

fn one_json(one: &Audited) -> Value {
    let (name, _) = judged(one);
    let transaction = one.located.as_ref().map(|located| located.transaction.to_string());
    let (replay, error) = match &one.replayed {
        Ok(replay) => (json!(replay), Value::Null),
        Err(error) => (Value::Null, json!(error.to_string())),
    };
    json!({
        "request_id": one.request_id, "verdict": name, "transaction": transaction,
        "replay": replay, "error": error,
    })
}
