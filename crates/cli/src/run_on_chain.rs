//! What `outlayer run` takes from a chain: a block's height and time, or a whole request.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{At, Block, Contract, LocateError, NamespaceReader};
use outlayer_guest::{Engine, SnapshotError};
use outlayer_protocol::{
    AccountId, CodeRef, ExecutionRequest, Hash32, HttpAccess, RequestId, SecretRef,
    http::Transcript,
    views::{RequestState, RequestView},
};
use outlayer_replay::Openings;

use crate::{
    http_args::NetworkOptions,
    network::{NetworkArgs, NodeArgs, block_on},
    request::{Named, find},
    run::{Report, Run},
};

#[derive(Debug, Args)]
pub(crate) struct ChainArgs {
    /// Take input, limits, context and storage from this request of the contract; one that is
    /// settled is read as it was when its answer was settled, with what it was answered over HTTP.
    /// With --http, the hosts that are named are asked again
    #[arg(
        long = "request",
        value_name = "ID",
        conflicts_with_all = [
            "input", "input_file", "args", "env", "kind", "fuel", "gas", "memory_bytes",
            "output_bytes", "log_bytes", "journal_bytes", "plan_bytes", "storage_reads",
            "storage_writes", "max_module_bytes", "storage", "storage_file", "request_id",
            "block_seed", "predecessor", "signer", "block_height", "block_timestamp",
            "http_exchanges", "http_bytes", "http_ms", "http_repeatable",
        ]
    )]
    live: Option<RequestId>,
    /// Take height and time from the block at this height; with --request, the block after which
    /// the request and its storage are read [default: the newest, or the last one that shows it]
    #[arg(
        long,
        value_name = "HEIGHT",
        conflicts_with_all = ["block_height", "block_timestamp"]
    )]
    block: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
    /// The OutLayer contract [default on localnet: the one that `outlayer dev` makes]
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    contract: Option<AccountId>,
}

impl ChainArgs {
    /// Whether a whole request is taken from the chain.
    pub(crate) fn is_of_request(&self) -> bool {
        self.live.is_some()
    }

    /// The block that was named, if one was.
    pub(crate) fn block(&self) -> anyhow::Result<Option<Block>> {
        let Some(height) = self.block else {
            return Ok(None);
        };
        let (node, _) = self.node.node()?;
        block_on(async move { Ok(Some(node.block(At::Height(height)).await?)) })
    }

    /// Executes the request on the storage that its account has, with this code, and with those of
    /// the secrets that it pins. Its guest may reach these hosts, if any are named, over this
    /// network.
    pub(crate) fn execute(
        self,
        engine: Arc<dyn Engine>,
        code: Vec<u8>,
        openings: Openings,
        hosts: Vec<String>,
        options: NetworkOptions,
    ) -> anyhow::Result<Report> {
        let request_id = self.live.context("--request is missing")?;
        let (node, contract) = (self.node.clone(), self.contract.clone());
        let contract = NetworkArgs { node, contract }.contract()?;
        block_on(async move {
            let (view, at) = self.look(&contract, request_id).await?;
            let config = contract.config(at).await?.config;
            let answered = match &view.request.http {
                Some(access) if hosts.is_empty() && !options.is_recorded() => {
                    Some(transcript(&contract, request_id, &access.hosts, at).await?)
                }
                _ => None,
            };
            let storage = NamespaceReader::new(contract, view.request.namespace().clone(), at);
            let secrets = openings.of(&view.request)?;
            let context = view.request.context.clone();
            let run = Run { context, config, request: ask(view, &code, hosts)?, secrets };
            tokio::task::spawn_blocking(move || {
                run.execute_over(&*engine, &code, &options, answered, |key: &[u8]| {
                    storage.read(key).map_err(|error| SnapshotError(error.to_string()))
                })
            })
            .await?
        })
    }

    /// The request, and the block after which it is read, as all that belongs to it must be.
    async fn look(&self, contract: &Contract, id: RequestId) -> anyhow::Result<(RequestView, At)> {
        let node = contract.node();
        let block = node.block(self.block.map_or(At::Optimistic, At::Height)).await?;
        let at = At::Hash(block.hash);
        match (contract.request_state(id, at).await?, self.block) {
            (RequestState::Live(view), _) => return Ok((*view, at)),
            (RequestState::NeverMade, None) => {
                return Err(LocateError::NeverMade { request_id: id }.into());
            }
            (RequestState::NeverMade, Some(height)) => {
                bail!("request {id} was not made yet after block {height}")
            }
            (RequestState::Settled, Some(height)) => bail!(
                "request {id} was settled already after block {height}; leave --block out to have \
                 a block found at which it was live"
            ),
            (RequestState::Settled, None) => {}
        }
        let found = find(contract, Named::Id(id), None, None).await?;
        let settled = found.request.and_then(|request| request.settled);
        let settled = settled.with_context(|| {
            format!("the node does not show the settlement of request {id} yet; try again")
        })?;
        let last = node.block_before(settled.block).await?;
        let at = At::Hash(last.hash);
        let view = contract.request(id, at).await?.with_context(|| {
            let height = last.height;
            format!("request {id} is settled, and not among the live ones after block {height}")
        })?;
        eprintln!("request {id} is settled; it is read as it was after block {}", last.height);
        Ok((view, at))
    }
}

/// What the request was answered over HTTP, from the answer that is staged.
async fn transcript(
    contract: &Contract,
    id: RequestId,
    hosts: &[String],
    at: At,
) -> anyhow::Result<Transcript> {
    let Some(response) = contract.response(id, at).await? else {
        let hosts = hosts.join(",");
        bail!(
            "the guest of request {id} reaches {hosts} over HTTP, and no answer to it is settled; \
             give --transcript FILE to answer the guest from a file, or --http {hosts} to have \
             this machine ask"
        );
    };
    let transcript = Transcript::decode(&response.transcript)
        .with_context(|| format!("the answer to request {id} has no transcript"))?;
    eprintln!("request {id} is answered over HTTP from its settled transcript");
    Ok(transcript)
}

/// The same request again, with this code. Its guest may reach these hosts, if any are named.
fn ask(view: RequestView, code: &[u8], hosts: Vec<String>) -> anyhow::Result<ExecutionRequest> {
    let RequestView { request, input, .. } = view;
    let approvals = request.approvals();
    let pins = request.secrets.into_iter().flat_map(|secrets| secrets.pins);
    let secrets = pins.map(|pin| SecretRef { owner_id: Some(pin.owner_id), name: pin.name });
    let secrets = secrets.collect();
    let http = match request.http {
        Some(access) if !hosts.is_empty() => Some(HttpAccess { hosts, ..access }),
        None if !hosts.is_empty() => bail!("the request has no HTTP, so no host may be named"),
        access => access,
    };
    Ok(ExecutionRequest {
        kind: request.kind,
        args: request.args,
        env: request.env,
        limits: request.limits,
        secrets,
        http,
        approvals,
        ..ExecutionRequest::new(CodeRef { hash: Hash32::of(code), url: None }, input)
    })
}
