//! `outlayer replay`: says whether what was settled is what the guest does.

use clap::Args;
use outlayer_client::CryptoHash;
use outlayer_modules::{CodeConfig, CodeStore};
use outlayer_protocol::{AccountId, RequestId};
use outlayer_replay::{Question, Replay, Verdict, replay};

use crate::{
    engine::EngineArgs,
    network::{NetworkArgs, block_on},
    print,
};

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Hash of the transaction that made the request
    #[arg(long)]
    tx: CryptoHash,
    /// The account that signed this transaction
    #[arg(long)]
    signer: AccountId,
    /// The request's id; needed when the transaction made several requests
    #[arg(long)]
    request_id: Option<RequestId>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Fetch code also from URLs inside this machine and its private networks
    #[arg(long)]
    allow_private_urls: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ReplayArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let engine = self.engine.engine()?;
        let codes = CodeStore::new(CodeConfig {
            cache_dir: self.engine.cache_dir,
            allow_private_urls: self.allow_private_urls,
            ..CodeConfig::default()
        })?;
        let contract = self.network.contract()?;
        let question =
            Question { transaction: self.tx, signer_id: self.signer, request_id: self.request_id };
        let done =
            block_on(async move { Ok(replay(&contract, &codes, &engine, &question).await?) })?;
        if self.json {
            print::json(&done)?;
        } else {
            show(&done);
        }
        Ok(done.is_match())
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
                "{engine_version} (NEAR config {near_config_version}) is needed to say; \
                 this build has another"
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
