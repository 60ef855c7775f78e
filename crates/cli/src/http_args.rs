//! The options that say what a guest may reach over HTTP, and where its network is.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_fetch::{FetchConfig, Session, Web};
use outlayer_guest::{Fetch, Http, Replayed, Secrets};
use outlayer_protocol::{AccountId, ExecutionRequest, HttpAccess, http::Transcript};
use tokio::runtime::Runtime;

use crate::transcript_file::{self, Noted};

#[derive(Clone, Debug, Args)]
pub(crate) struct HttpOptions {
    /// The hosts that the guest may reach: HOST, HOST:PORT or *.HOST over HTTPS, and
    /// http://localhost:PORT or http://127.0.0.1:PORT for development; several with commas between
    /// them
    #[arg(long = "http", value_name = "HOST", value_delimiter = ',')]
    hosts: Vec<String>,
    /// The most HTTP exchanges [default: 1]
    #[arg(long, requires = "hosts")]
    http_exchanges: Option<u32>,
    /// The most bytes of all answers together, as the transcript keeps them [default: 4096]
    #[arg(long, requires = "hosts")]
    http_bytes: Option<u32>,
    /// How long all exchanges together may take, milliseconds [default: 10000]
    #[arg(long, requires = "hosts")]
    http_ms: Option<u32>,
    /// Other methods than GET and HEAD may be sent, by each worker that executes the request
    #[arg(long, requires = "hosts")]
    http_repeatable: bool,
}

impl HttpOptions {
    /// The hosts that were named.
    pub(crate) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// What the request says of HTTP.
    pub(crate) fn access(self) -> Option<HttpAccess> {
        if self.hosts.is_empty() {
            return None;
        }
        let default = HttpAccess::to(self.hosts);
        Some(HttpAccess {
            max_exchanges: self.http_exchanges.unwrap_or(default.max_exchanges),
            max_bytes: self.http_bytes.unwrap_or(default.max_bytes),
            max_ms: self.http_ms.unwrap_or(default.max_ms),
            repeatable: self.http_repeatable,
            ..default
        })
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NetworkOptions {
    /// Answer the guest from this file, that --transcript-to wrote, and not from the network. It
    /// needs --http, or --request
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    /// Write what the guest was answered over HTTP to this file. It needs --http, or --request
    #[arg(long, value_name = "FILE")]
    transcript_to: Option<PathBuf>,
}

/// The network of one execution.
pub(crate) enum Network<'a> {
    Live {
        session: Noted<Session>,
        /// Where the session waits.
        _runtime: Runtime,
    },
    Recorded(Noted<Replayed<'a>>),
}

impl NetworkOptions {
    /// Whether a file answers the guest.
    pub(crate) fn is_recorded(&self) -> bool {
        self.transcript.is_some()
    }

    /// The network for this request, if it has HTTP: the file that was named, or else `settled`, or
    /// else that of this machine. A transcript of an execution with secrets is concealed by them.
    pub(crate) fn network<'a>(
        &self,
        contract: &AccountId,
        request: &ExecutionRequest,
        secrets: Option<&'a Secrets>,
        settled: Option<Transcript>,
    ) -> anyhow::Result<Option<Network<'a>>> {
        let Some(http) = Http::of(request.http.as_ref(), request.approvals) else {
            if self.transcript.is_some() || self.transcript_to.is_some() {
                bail!("the request has no HTTP, so there is no transcript; name hosts with --http");
            }
            return Ok(None);
        };
        let recorded = match &self.transcript {
            Some(path) => Some(transcript_file::read(path)?),
            None => settled,
        };
        if let Some(transcript) = recorded {
            let replayed = Replayed::new(transcript, secrets);
            return Ok(Some(Network::Recorded(Noted::new(replayed))));
        }
        // Who starts a guest here may let it reach what is here.
        let web = Web::new(FetchConfig { allow_loopback: true, ..FetchConfig::default() })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("the network cannot be set up")?;
        let session = web.session(contract.clone(), http, runtime.handle().clone());
        Ok(Some(Network::Live { session: Noted::new(session), _runtime: runtime }))
    }

    /// Writes what was exchanged, if that is asked for; without the URLs where the guest was given
    /// secrets, which one of them may hold.
    pub(crate) fn keep(
        &self,
        network: &Network<'_>,
        secrets: Option<&Secrets>,
        transcript: &Transcript,
    ) -> anyhow::Result<()> {
        let Some(path) = &self.transcript_to else { return Ok(()) };
        let asked = match network {
            Network::Live { session, .. } => session.asked(),
            Network::Recorded(noted) => noted.asked(),
        };
        let asked = if secrets.is_some() { &[] } else { asked };
        transcript_file::write(path, transcript, asked)
    }
}

impl Network<'_> {
    pub(crate) fn fetch(&mut self) -> &mut dyn Fetch {
        match self {
            Self::Live { session, .. } => session,
            Self::Recorded(noted) => noted,
        }
    }
}
