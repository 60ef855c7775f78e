//! `outlayer request`: asks for an execution, waits for the answer, and says what it cost.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{Action, At, Contract, CryptoHash};
use outlayer_protocol::{
    AccountId, CodeRef, CodeSource, ExecutionRequest, Hash32, NearToken, methods,
    views::{CodeInfoView, NamedCodeView, RequestArgs as MethodArgs},
};
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{
    follow::{Noted, until_settled},
    report,
};
use crate::{
    amount, code_file,
    exit::{self, Exit},
    network::{NetworkArgs, block_on},
    print, progress,
    request_args::RequestOptions,
    secrets::SecretOptions,
    wallet::{Planned, WalletArgs},
};

/// How often the node is asked what became of the transaction.
const POLL: Duration = Duration::from_millis(300);
/// For how long the last details of a settled transaction are waited for.
const DETAILS: Duration = Duration::from_secs(20);

/// Ask for an execution, wait for the answer, and say what it cost
///
/// The account that signs pays: what is attached is what the request can cost at most, and what it
/// does not cost comes back in the same transaction. The request goes on when this command ends
/// early: `outlayer watch ID` follows it, and it is settled or refunded in any case.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// The guest's Wasm, of which only the hash is sent: its code must be published, or be at --url
    wasm: Option<PathBuf>,
    /// The SHA-256 of the code, 64 hex digits
    #[arg(long, conflicts_with = "wasm")]
    code: Option<Hash32>,
    /// The code's name: OWNER/NAME or OWNER/NAME@VERSION
    #[arg(long, conflicts_with_all = ["wasm", "code", "url"])]
    name: Option<String>,
    /// Where workers find code that is not published in the contract
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    secrets: SecretOptions,
    /// What to attach [default: the least that the contract takes]
    #[arg(long, value_parser = amount::parse)]
    deposit: Option<NearToken>,
    /// The account that gets what comes back [default: the one that signs]
    #[arg(long)]
    refund_to: Option<AccountId>,
    /// Do not send a request that could cost more than this
    #[arg(long, value_parser = amount::parse)]
    max_fee: Option<NearToken>,
    /// For how many blocks the contract keeps the result
    #[arg(long)]
    keep_result: Option<u32>,
    /// For how many seconds to wait for the answer
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RequestArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let wallet = self.wallet.clone().open(&self.network.node, self.json).await?;
        let request = self.build(&contract).await?;
        let cost = contract.estimate(&request, At::Optimistic).await?;
        let args = serde_json::to_vec(&MethodArgs { request: request.clone() })?;
        let view = contract.node().view(
            contract.id(),
            methods::ESTIMATE_GAS,
            args.clone(),
            At::Optimistic,
        );
        let gas = serde_json::from_slice::<String>(&view.await?)
            .ok()
            .and_then(|text| text.parse().ok())
            .context("estimate_gas: expected an amount of gas")?;
        let deposit = self.deposit.unwrap_or(cost.total);
        let planned = Planned {
            purpose: "ask for an execution".to_owned(),
            receiver: contract.id().clone(),
            actions: vec![Action::Call {
                method: methods::REQUEST_EXECUTION.to_owned(),
                args,
                gas,
                deposit,
            }],
            code_file: None,
        };
        if wallet.only_prints() {
            wallet.send(&planned).await?;
            return wallet.printed();
        }
        eprintln!(
            "attaching {}: {} is the most that it can cost, and {} is set aside for storage; what \
             is not spent comes back",
            print::near(deposit),
            print::near(cost.max_fee),
            print::near(cost.storage_reserve)
        );
        let signer = wallet.id.clone();
        let (hashes, sent) = watch::channel(None::<CryptoHash>);
        let wallet = Arc::new(wallet);
        let sending = {
            let wallet = Arc::clone(&wallet);
            tokio::spawn(async move {
                let note = |hash| {
                    progress::note(&format!("transaction {hash}"));
                    hashes.send_replace(Some(hash));
                };
                wallet.send_noting(&planned, &note).await
            })
        };
        self.follow(&contract, &signer, sending, sent).await
    }

    /// Waits until the sent request is settled, and shows it.
    async fn follow(
        &self,
        contract: &Contract,
        signer: &AccountId,
        mut sending: tokio::task::JoinHandle<anyhow::Result<Option<outlayer_client::CallOutcome>>>,
        sent: watch::Receiver<Option<CryptoHash>>,
    ) -> anyhow::Result<bool> {
        let (started, patience) = (Instant::now(), Duration::from_secs(self.timeout));
        let mut noted = Noted::default();
        loop {
            tokio::select! {
                // A call that the contract does not take, or that failed, says so here.
                ended = &mut sending => {
                    ended.context("the task that sends")??;
                    break;
                }
                () = tokio::time::sleep(POLL) => {}
            }
            let hash = *sent.borrow();
            let found = match hash {
                Some(hash) => noted.look(contract, hash, signer, None).await,
                None => None,
            };
            let settled = found.and_then(|found| found.request?.settled);
            if settled.is_some() {
                break;
            }
            if started.elapsed() >= patience {
                return self.not_yet(hash, &noted);
            }
        }
        sending.abort();
        let hash = (*sent.borrow()).context("the transaction was not signed")?;
        let found = until_settled(contract, hash, signer, None, DETAILS, &mut noted).await;
        match found.as_ref().and_then(|found| Some((&found.transaction, found.request.as_ref()?))) {
            Some((transaction, request)) => {
                report::settled(contract, transaction, request, self.json).await
            }
            None => self.not_yet(Some(hash), &noted),
        }
    }

    /// Says how to go on with a request that is not settled in time.
    fn not_yet(&self, hash: Option<CryptoHash>, noted: &Noted) -> anyhow::Result<bool> {
        let hash = hash.map(|hash| hash.to_string());
        if self.json {
            print::json(&json!({
                "request_id": noted.request_id(), "transaction": hash, "state": "not_settled",
            }))?;
        } else {
            let name = match (noted.request_id(), hash) {
                (Some(id), _) => id.to_string(),
                (None, Some(hash)) => hash,
                (None, None) => bail!("nothing was sent in {} s", self.timeout),
            };
            print::raw(format_args!(
                "not settled after {} s. It goes on; wait for it with\n\n    outlayer watch \
                 {name}\n",
                self.timeout
            ));
        }
        exit::with(Some(Exit::NotSettled))
    }

    /// The request, for code that workers will find.
    async fn build(&self, contract: &Contract) -> anyhow::Result<ExecutionRequest> {
        let file = self.wasm.as_deref().map(code_file::read).transpose()?;
        let hash = self.code.or_else(|| file.as_deref().map(Hash32::of));
        let mut bytes = file.as_ref().map(Vec::len).map(u32::try_from).transpose()?;
        let source: CodeSource = match (&self.name, hash) {
            (Some(name), _) => {
                let args = json!({ "name": name });
                let named: Option<NamedCodeView> =
                    contract.view(methods::GET_NAMED_CODE, args, At::Optimistic).await?;
                let named = named.with_context(|| {
                    format!(
                        "{} has no code with the name {name}; `outlayer publish FILE --name NAME` \
                         gives code a name of the signing account",
                        contract.id()
                    )
                })?;
                let info = contract.code_info(&named.hash, At::Optimistic).await?;
                bytes = info.map(|info| info.total_bytes);
                CodeSource::Named { name: name.clone() }
            }
            (None, Some(hash)) => {
                let info = contract.code_info(&hash, At::Optimistic).await?;
                if self.url.is_none() {
                    check_published(contract, &hash, info.as_ref(), self.wasm.is_some())?;
                }
                bytes = bytes.or_else(|| info.map(|info| info.total_bytes));
                CodeRef { hash, url: self.url.clone() }.into()
            }
            (None, None) => bail!(
                "nobody says which code to run; give the guest's file, --code with its SHA-256, or \
                 --name OWNER/NAME"
            ),
        };
        let declared = self.request.max_module_bytes;
        let mut request = self.request.clone().into_request(source)?;
        // The price of the code is that of the bytes that are declared.
        if let (None, Some(bytes)) = (declared, bytes) {
            request.limits.max_module_bytes = bytes;
        }
        request.secrets = self.secrets.refs()?;
        request.refund_to.clone_from(&self.refund_to);
        request.max_fee = self.max_fee;
        if let Some(blocks) = self.keep_result {
            request.keep_result_blocks = blocks;
        }
        Ok(request)
    }
}

/// Refuses code that no worker would find.
fn check_published(
    contract: &Contract,
    hash: &Hash32,
    info: Option<&CodeInfoView>,
    has_file: bool,
) -> anyhow::Result<()> {
    let publish = if has_file { "`outlayer publish FILE`" } else { "`outlayer publish`" };
    match info {
        Some(info) if info.published_bytes == info.total_bytes && !info.retired => Ok(()),
        Some(info) if info.retired => bail!(
            "code {hash} is withdrawn from new requests by its publisher, {}",
            info.publisher_id
        ),
        Some(info) => bail!(
            "only {} of the {} bytes of code {hash} are published; go on with {publish}",
            info.published_bytes,
            info.total_bytes
        ),
        None => bail!(
            "code {hash} is not published in {}; publish it with {publish}, or say with --url \
             where workers find it",
            contract.id()
        ),
    }
}
