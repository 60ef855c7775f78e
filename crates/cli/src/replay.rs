//! `outlayer replay`: says whether what was settled is what the guest does.

use clap::Args;
use outlayer_client::{Contract, CryptoHash};
use outlayer_modules::{CodeConfig, CodeStore};
use outlayer_protocol::{AccountId, RequestId};
use outlayer_replay::{Question, Replay, Verdict, replay};

use crate::{
    engine::{EngineArgs, OtherEngineArgs},
    exit,
    network::{NetworkArgs, block_on},
    print,
    progress::Progress,
    request::{Named, find},
    secrets::OpeningOptions,
};

/// Execute a settled request again from chain data alone, and compare the digests
///
/// By the request's id, the transaction is found by bisection of the blocks, so the node must still
/// have those in which the request was made. The exit code says what the replay came to: see
/// `outlayer --help`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The request's id, or the hash of the transaction that made it
    #[arg(required_unless_present_any = ["tx", "request_id"], conflicts_with = "tx")]
    request: Option<Named>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Hash of the transaction that made the request
    #[arg(long)]
    tx: Option<CryptoHash>,
    /// The account that signed this transaction, where the node needs it to find one
    #[arg(long)]
    signer: Option<AccountId>,
    /// The request's id; needed when the transaction made several requests
    #[arg(long)]
    request_id: Option<RequestId>,
    #[command(flatten)]
    openings: OpeningOptions,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    others: OtherEngineArgs,
    /// Fetch code also from URLs inside this machine and its private networks
    #[arg(long)]
    allow_private_urls: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ReplayArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let engines = self.engine.engines_of(1, &self.others.read()?)?;
        let codes = CodeStore::new(CodeConfig {
            cache_dir: self.engine.cache_dir.clone(),
            allow_private_urls: self.allow_private_urls,
            ..CodeConfig::default()
        })?;
        let openings = self.openings.read()?;
        let contract = self.network.contract()?;
        let done = block_on(async move {
            let question = self.question(&contract).await?;
            let done = {
                let _progress = Progress::start("executing it again");
                replay(&contract, &codes, &engines, &question, &openings).await?
            };
            if self.json {
                print::json(&done)?;
            } else {
                show(&done);
            }
            Ok(done)
        })?;
        exit::with(exit::of_replay(&done))
    }

    /// The transaction and its signer, which are looked for where they are not given.
    async fn question(&self, contract: &Contract) -> anyhow::Result<Question> {
        let (named, mut request_id) = match (self.request, self.tx, self.request_id) {
            (Some(named), _, id) => (named, id),
            (None, Some(hash), id) => (Named::Transaction(hash), id),
            (None, None, id) => (Named::Id(id.unwrap_or_default()), id),
        };
        if let (Named::Transaction(transaction), Some(signer_id)) = (named, self.signer.clone()) {
            return Ok(Question { transaction, signer_id, request_id });
        }
        if let Named::Id(id) = named {
            request_id = Some(id);
        }
        let found = find(contract, named, self.signer.as_ref(), request_id).await?.transaction;
        Ok(Question { transaction: found.hash, signer_id: found.signer_id, request_id })
    }
}

fn show(replay: &Replay) {
    print::line("request", replay.request_id);
    if let Some(completed) = &replay.completed {
        print::line("settled as", print::text(completed.outcome.as_bytes()));
        print::line("by", &completed.worker_id);
        print::line("settled digest", completed.digest);
    }
    if let Some(digest) = replay.digest {
        print::line("replayed digest", digest);
    }
    if let Some(height) = replay.snapshot_height {
        print::line("read after block", height);
    }
    if replay.record.as_ref().is_some_and(|record| record.transcript_hash.is_some()) {
        print::line("over HTTP", "given what its workers attest that servers answered");
    }
    for pin in replay.record.iter().flat_map(|record| &record.secrets) {
        let name = print::text(pin.name.as_bytes());
        print::line("with secret", format!("{name} of {}, version {}", pin.owner_id, pin.version));
    }
    match &replay.verdict {
        Verdict::Match => {
            print::line("verdict", "match: the execution is the one that was settled")
        }
        Verdict::Mismatch { differs } => {
            print::line("verdict", "MISMATCH: what was settled is not what the guest does");
            for one in differs {
                let (settled, replayed) = (print::text(one.settled.as_bytes()), &one.replayed);
                print::line(
                    &format!("  {}", one.part),
                    format!("settled {settled}, replayed {replayed}"),
                );
            }
        }
        Verdict::NeedsEngine { engine_version, near_config_version } => print::line(
            "verdict",
            format!(
                "needs {engine_version} (NEAR config {near_config_version}), which this program \
                 does not have; --engine names a program that has it"
            ),
        ),
        Verdict::SecretNeeded { names } => print::line(
            "verdict",
            format!(
                "secret needed: {}; --secret NAME=@FILE gives an opening that `outlayer secrets \
                 put --keep` wrote",
                print::text(names.join(", ").as_bytes())
            ),
        ),
        Verdict::NoExecution { outcome } => {
            print::line("verdict", format!("settled without an execution: {outcome}"))
        }
        Verdict::NotSettled => print::line("verdict", "not settled yet"),
        Verdict::Inconclusive { reason } => {
            print::line("verdict", format!("inconclusive: {reason}"))
        }
    }
}
