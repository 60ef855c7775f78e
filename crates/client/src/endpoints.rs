//! Several endpoints of one network: which of them is asked, and what follows when it fails.
//!
//! * Endpoints are asked in the order of the configuration. One that has failed, or whose blocks
//!   lag behind those of the others, comes after them until it has recovered, and is still asked
//!   when the others fail too. So does one that two others have contradicted lately.
//! * A question that an endpoint does not answer goes to the next at once. After all of them it
//!   waits, with full jitter, and begins again: at most [`NodeConfig::attempts`] times, and within
//!   [`NodeConfig::budget`].
//! * An endpoint that does not know a block or a transaction may be behind, or may have deleted it.
//!   So "unknown" is the answer only when no endpoint knows better. One that refuses everything,
//!   because it wants another API key for example, does not know better.
//! * While there are questions, the endpoints that nobody asks are asked for their newest block now
//!   and then, in the background. So it shows who lags and who has recovered, and no question waits
//!   for an endpoint that hangs.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use near_jsonrpc_client::methods::{
    self, RpcMethod, block::RpcBlockError, query::RpcQueryError, status::RpcStatusError,
};
use near_jsonrpc_primitives::types::transactions::RpcTransactionError;
use near_primitives::types::Finality;
use tokio::time::Instant;

use crate::{
    Backoff, ChainError, EndpointHealth, EndpointUrl, Network, NodeConfig,
    health::{Health, State},
    retry::jitter,
    text::clip,
    transport::{CallError, Transport},
};

/// How long after it was last seen an endpoint's newest block is asked for.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// The longest time that such a question may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What an error of a method's handler says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// Any endpoint would answer the same.
    Settled,
    /// Another endpoint may know better.
    AskOthers,
    /// The endpoint has a problem that may pass.
    Fails,
}

pub(crate) trait HandlerError: std::fmt::Display {
    fn says(&self) -> Says;
}

impl HandlerError for RpcBlockError {
    fn says(&self) -> Says {
        match self {
            Self::UnknownBlock { .. } => Says::AskOthers,
            Self::NotSyncedYet | Self::InternalError { .. } => Says::Fails,
        }
    }
}

impl HandlerError for RpcQueryError {
    fn says(&self) -> Says {
        match self {
            Self::UnknownBlock { .. }
            | Self::GarbageCollectedBlock { .. }
            | Self::UnavailableShard { .. } => Says::AskOthers,
            Self::NoSyncedBlocks | Self::InternalError { .. } => Says::Fails,
            _ => Says::Settled,
        }
    }
}

impl HandlerError for RpcTransactionError {
    fn says(&self) -> Says {
        match self {
            Self::UnknownTransaction { .. } | Self::DoesNotTrackShard => Says::AskOthers,
            Self::InternalError { .. } => Says::Fails,
            // The endpoint has waited for the transaction as long as it waits for any.
            Self::TimeoutError(_)
            | Self::RequestRouted { .. }
            | Self::InvalidTransaction { .. } => Says::Settled,
        }
    }
}

impl HandlerError for RpcStatusError {
    fn says(&self) -> Says {
        Says::Fails
    }
}

/// One place where the chain can be asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    transport: Transport,
    health: Health,
    /// The network that it serves, once it has said so.
    network: OnceLock<Network>,
}

impl Endpoint {
    pub(crate) fn url(&self) -> &EndpointUrl {
        self.transport.url()
    }
}

/// The endpoints of a node's configuration. Clones are cheap and share what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Vec<Arc<Endpoint>>,
    /// The name of the network in the configuration.
    chain_id: Option<String>,
    /// The network of the endpoint that was asked first.
    network: OnceLock<Network>,
    timeout: Duration,
    budget: Duration,
    attempts: u32,
    backoff: Backoff,
    max_lag: u64,
}

impl Endpoints {
    pub(crate) fn new(config: &NodeConfig) -> Result<Self, ChainError> {
        let mut all = Vec::new();
        for url in &config.endpoints {
            let transport = Transport::new(url, config.max_answer_bytes)?;
            let endpoint =
                Endpoint { transport, health: Health::default(), network: OnceLock::new() };
            all.push(Arc::new(endpoint));
        }
        let invalid = |reason: String| Err(ChainError::Config { reason });
        if all.is_empty() {
            return invalid("no endpoint is named, expected at least one".to_owned());
        }
        let is_named_before =
            |(index, url)| config.endpoints.iter().take(index).any(|before| before == url);
        if let Some((_, url)) =
            config.endpoints.iter().enumerate().find(|one| is_named_before(*one))
        {
            return invalid(format!("an endpoint at {url} is named twice"));
        }
        if !(1..=2).contains(&config.quorum) || config.quorum > all.len() {
            return invalid(format!(
                "{} of {} endpoints must agree, expected 1, or 2 of at least 2",
                config.quorum,
                all.len()
            ));
        }
        let hosts = config.endpoints.iter().map(EndpointUrl::to_string);
        let hosts = hosts.collect::<HashSet<_>>().len();
        if config.quorum > hosts {
            return invalid(format!(
                "{} endpoints must agree, expected them on different hosts or ports",
                config.quorum
            ));
        }
        let timeout = match all.len() {
            1 => config.timeout,
            _ => config.timeout.min(config.failover_timeout),
        };
        Ok(Self(Arc::new(Inner {
            all,
            chain_id: config.chain_id.clone(),
            network: OnceLock::new(),
            timeout,
            budget: config.budget,
            attempts: config.attempts.max(1),
            backoff: config.backoff,
            max_lag: config.max_lag,
        })))
    }

    pub(crate) fn all(&self) -> &[Arc<Endpoint>] {
        &self.0.all
    }

    /// When a question that begins now must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.budget
    }

    fn states(&self) -> Vec<State> {
        self.all().iter().map(|endpoint| endpoint.health.now()).collect()
    }

    pub(crate) fn health(&self) -> Vec<EndpointHealth> {
        let states = self.states();
        let healths = self.all().iter().zip(&states).map(|(endpoint, state)| EndpointHealth {
            url: endpoint.url().clone(),
            exchanges: state.exchanges,
            failed: state.failed,
            failures_in_a_row: state.failures_in_a_row,
            latency: state.latency,
            height: state.seen.map(|(height, _)| height),
            lags: state.lags(&states, self.0.max_lag),
            contradicted: state.contradicted,
            disputed: state.disputed,
            is_doubted: state.is_doubted(),
            clock_ahead: endpoint.transport.clock_ahead(),
            is_of_another_network: state.is_of_another_network,
        });
        healths.collect()
    }

    /// The endpoints that may be asked, the best first.
    pub(crate) fn in_order(&self) -> Vec<Arc<Endpoint>> {
        let states = self.states();
        let mut order: Vec<_> = self.all().iter().zip(&states).enumerate().collect();
        order.retain(|(_, (_, state))| !state.is_of_another_network);
        order.sort_by_key(|(index, (_, state))| {
            let lags = state.lags(&states, self.0.max_lag);
            (state.is_doubted(), state.rests_until.is_some(), lags, state.rests_until, *index)
        });
        order.into_iter().map(|(_, (endpoint, _))| Arc::clone(endpoint)).collect()
    }

    /// Asks the best endpoint once.
    pub(crate) async fn call_once<M>(
        &self,
        request: &M,
        timeout: Duration,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M: RpcMethod<Response: 'static>,
        M::Error: HandlerError,
    {
        self.tend();
        let mut refused = None;
        for endpoint in self.in_order() {
            match self.check(&endpoint).await {
                Ok(()) => return self.exchange(&endpoint, request, timeout).await,
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| self.none_left()).into())
    }

    /// Asks endpoints until one answers.
    pub(crate) async fn call<M>(&self, request: &M) -> Result<M::Response, CallError<M::Error>>
    where
        M: RpcMethod<Response: 'static>,
        M::Error: HandlerError,
    {
        let deadline = self.deadline();
        let mut round = 0;
        loop {
            self.tend();
            let (mut settled, mut passing, mut rest) = (None, None, None);
            for endpoint in self.in_order() {
                match self.ask(&endpoint, request, deadline).await {
                    Err(CallError::Chain(error)) => {
                        tracing::debug!(%error, endpoint = %endpoint.url(), "no answer");
                        if error.is_transient() {
                            let asked = error.retry_after().unwrap_or_default();
                            rest = Some(rest.map_or(asked, |known: Duration| known.min(asked)));
                            passing = Some(CallError::Chain(error));
                        } else if settled.is_none() || !error.says_nothing() {
                            settled = Some(CallError::Chain(error));
                        }
                    }
                    Err(CallError::Handler(error)) => match error.says() {
                        Says::Settled => return Err(CallError::Handler(error)),
                        // An answer that is not understood may be the one that was wanted.
                        Says::AskOthers if settled.as_ref().is_none_or(CallError::says_nothing) => {
                            settled = Some(CallError::Handler(error));
                        }
                        Says::AskOthers => {}
                        Says::Fails => {
                            rest = Some(Duration::ZERO);
                            passing = Some(CallError::Handler(error));
                        }
                    },
                    answered => return answered,
                }
            }
            round += 1;
            // An endpoint that cannot be asked now may know better than those that do not know.
            let Some(passing) = passing else {
                return Err(settled.unwrap_or_else(|| self.none_left().into()));
            };
            let wait = self.wait(round, rest.unwrap_or_default(), deadline);
            let Some(wait) = wait else {
                return Err(passing);
            };
            tracing::debug!(round, ?wait, "asking again");
            tokio::time::sleep(wait).await;
        }
    }

    pub(crate) fn backoff(&self) -> Backoff {
        self.0.backoff
    }

    /// How long to wait after so many rounds in which no endpoint could answer, or `None` when the
    /// question is given up. One endpoint wants to be left alone for `rest`.
    pub(crate) fn wait(&self, rounds: u32, rest: Duration, deadline: Instant) -> Option<Duration> {
        if rounds >= self.0.attempts {
            return None;
        }
        let wait = self.0.backoff.jittered(rounds);
        // Those who were all told to come back after a second do not all come back then.
        let wait = if rest.is_zero() { wait } else { rest + jitter(rest / 4).max(wait) };
        (Instant::now() + wait < deadline).then_some(wait)
    }

    fn none_left(&self) -> ChainError {
        let reason = "every endpoint serves another network".to_owned();
        ChainError::Config { reason }
    }

    /// Asks one endpoint, and notes how it did.
    pub(crate) async fn ask<M>(
        &self,
        endpoint: &Endpoint,
        request: &M,
        deadline: Instant,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M: RpcMethod<Response: 'static>,
        M::Error: HandlerError,
    {
        self.check(endpoint).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        // A question that begins at the last moment still has the time of a fast answer.
        let timeout = self.0.timeout.min(left.max(Duration::from_secs(1)));
        self.exchange(endpoint, request, timeout).await
    }

    async fn exchange<M>(
        &self,
        endpoint: &Endpoint,
        request: &M,
        timeout: Duration,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M: RpcMethod<Response: 'static>,
        M::Error: HandlerError,
    {
        let began = Instant::now();
        let result = endpoint.transport.call(request, timeout).await;
        match &result {
            Err(CallError::Chain(error)) => endpoint.health.failed(error.retry_after()),
            Err(CallError::Handler(error)) if error.says() == Says::Fails => {
                endpoint.health.failed(None);
            }
            Ok(_) | Err(CallError::Handler(_)) => endpoint.health.succeeded(began.elapsed()),
        }
        result
    }

    /// Notes that two other endpoints agree against this one.
    pub(crate) fn contradicted(&self, endpoint: &Endpoint) {
        endpoint.health.contradicted();
    }

    /// Notes that these endpoints contradict each other.
    pub(crate) fn disputed(&self, urls: [&EndpointUrl; 2]) {
        let both = self.all().iter().filter(|endpoint| urls.contains(&endpoint.url()));
        both.for_each(|endpoint| endpoint.health.disputed());
    }

    /// For how much longer every endpoint wants to be left alone.
    pub(crate) fn asked_rest(&self) -> Duration {
        let states = self.states();
        let usable = states.iter().filter(|state| !state.is_of_another_network);
        usable.map(State::asked_rest).min().unwrap_or_default()
    }

    /// Notes the newest block that an endpoint has shown.
    pub(crate) fn saw(&self, endpoint: &Endpoint, height: u64) {
        endpoint.health.saw(height);
    }

    /// Asks endpoints in the background for their newest block, if it is time to.
    fn tend(&self) {
        if self.all().len() < 2 {
            return;
        }
        for endpoint in self.all() {
            if !endpoint.health.begin_probe(PROBE_EVERY) {
                continue;
            }
            let (endpoints, endpoint) = (self.clone(), Arc::clone(endpoint));
            tokio::spawn(async move {
                let request =
                    methods::block::RpcBlockRequest { block_reference: Finality::None.into() };
                let deadline = Instant::now() + PROBE_TIMEOUT;
                if let Ok(view) = endpoints.ask(&endpoint, &request, deadline).await {
                    endpoint.health.saw(view.header.height);
                }
                endpoint.health.probed();
            });
        }
    }

    /// Whether the endpoint serves the right network. It is asked once.
    async fn check(&self, endpoint: &Endpoint) -> Result<(), ChainError> {
        if (self.all().len() < 2 && self.0.chain_id.is_none()) || endpoint.network.get().is_some() {
            return Ok(());
        }
        let found = self.network(endpoint).await?;
        let expected = match &self.0.chain_id {
            Some(chain_id) if *chain_id != found.chain_id => format!("the network {chain_id:?}"),
            _ => match self.0.network.get_or_init(|| found.clone()) {
                expected if *expected == found => {
                    let _ = endpoint.network.set(found);
                    return Ok(());
                }
                expected => format!("{expected}, like the endpoint that answered first"),
            },
        };
        endpoint.health.is_of_another_network();
        let error = ChainError::WrongNetwork { url: endpoint.url().clone(), found, expected };
        tracing::error!(%error, "this endpoint is not asked any more");
        Err(error)
    }

    async fn network(&self, endpoint: &Endpoint) -> Result<Network, ChainError> {
        let request = methods::status::RpcStatusRequest;
        match self.exchange(endpoint, &request, self.0.timeout).await {
            Ok(status) => {
                endpoint.health.saw(status.sync_info.latest_block_height);
                Ok(Network { chain_id: clip(&status.chain_id), genesis_hash: status.genesis_hash })
            }
            Err(CallError::Chain(error)) => Err(error),
            Err(CallError::Handler(error)) => {
                Err(ChainError::Busy { method: "status".into(), reason: clip(&error.to_string()) })
            }
        }
    }

    /// Asks every endpoint which network it serves.
    pub(crate) async fn check_all(&self) -> Result<Network, ChainError> {
        let mut networks: Vec<(EndpointUrl, Network)> = Vec::new();
        let mut unreachable = None;
        for endpoint in self.all() {
            match self.network(endpoint).await {
                Ok(network) => networks.push((endpoint.url().clone(), network)),
                // It is asked again before its first use.
                Err(error) => {
                    tracing::warn!(%error, "an endpoint does not say which network it serves");
                    unreachable = Some(error);
                }
            }
        }
        let Some((first, network)) = networks.first().cloned() else {
            return Err(unreachable.unwrap_or_else(|| self.none_left()));
        };
        for (url, found) in networks {
            let expected = match &self.0.chain_id {
                Some(chain_id) if *chain_id != found.chain_id => {
                    format!("the network {chain_id:?}")
                }
                _ if found != network => format!("{network}, like {first}"),
                _ => continue,
            };
            return Err(ChainError::WrongNetwork { url, found, expected });
        }
        let _ = self.0.network.set(network.clone());
        Ok(network)
    }
}

#[cfg(test)]
mod tests;
