//! The worker's loop: it discovers requests, starts attempts, and notes what came of them.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use outlayer_client::{ChainError, EndpointHealth};
use outlayer_guest::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_protocol::{AccountId, RequestId, index::PendingEntry};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::Instrument as _;

use super::{
    Stage, WorkerConfig, WorkerError,
    attempt::{self, Done},
    discover::{Decision, Me, decide},
    error::ServeError,
    services::Services,
    shares,
};

/// What a worker did while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many of the requests that it served are settled.
    pub settled: u64,
    /// How many attempts gave no answer. Another attempt may have answered the same request.
    pub failed: u64,
}

/// A worker. All that it knows is on the chain, so it may be stopped at any point, and another one
/// started in its place.
pub struct Worker {
    services: Arc<Services>,
}

/// The most pending requests that one look takes in.
const MOST_PENDING: usize = 10_000;
/// The most registered workers that are read.
const MOST_WORKERS: usize = 1_000;
/// How long a request is left alone that was found answered. It is settled in a block or two, or
/// else its callback has failed.
const ANSWERED: Duration = Duration::from_secs(10);
/// How old the list of registered workers may be.
const ROSTER_AGE: Duration = Duration::from_secs(10);

impl Worker {
    /// Sets a worker up. Nothing is asked or sent yet.
    ///
    /// # Errors
    /// [`WorkerError`] for a configuration that this machine cannot serve.
    pub fn new(config: WorkerConfig) -> Result<Self, WorkerError> {
        Ok(Self { services: Arc::new(Services::new(config)?) })
    }

    /// How the endpoints of the node have been answering.
    pub fn endpoints(&self) -> Vec<EndpointHealth> {
        self.services.contract.node().health()
    }

    /// Serves requests until `shutdown` is ready. Then the requests in flight have the time of
    /// [`WorkerConfig::shutdown_grace`] to end.
    ///
    /// While the node cannot be reached, the worker waits for it: only `shutdown` ends this.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Summary {
        let mut shutdown = pin!(shutdown);
        let mut round = Round::new(Arc::clone(&self.services));
        let config = &self.services.config;
        tracing::info!(
            contract = %config.contract_id, account = %config.account_id,
            node = %self.services.contract.node().shown_url(),
            engine = ENGINE_VERSION.0, near_config_version = NEAR_CONFIG_VERSION,
            "the worker is looking for requests"
        );
        'serving: loop {
            let found = tokio::select! {
                biased;
                () = &mut shutdown => break 'serving,
                found = round.discover() => found,
            };
            let pause = round.start(found);
            let mut pause = pin!(tokio::time::sleep(pause));
            loop {
                tokio::select! {
                    biased;
                    () = &mut shutdown => break 'serving,
                    Some(joined) = round.tasks.join_next_with_id() => round.note(joined),
                    () = &mut pause => break,
                }
            }
        }
        tracing::info!(in_flight = round.tasks.len(), "the worker is stopping");
        let grace = Instant::now() + config.shutdown_grace;
        while let Ok(Some(joined)) =
            tokio::time::timeout_at(grace, round.tasks.join_next_with_id()).await
        {
            round.note(joined);
        }
        round.tasks.shutdown().await;
        round.summary
    }
}

/// What one look at the chain found.
struct Found {
    height: u64,
    pending: Vec<PendingEntry>,
}

type Attempt = Result<Done, ServeError>;

/// What the loop remembers between looks. Losing it costs time, never a request.
struct Round {
    services: Arc<Services>,
    tasks: JoinSet<Attempt>,
    in_flight: HashMap<Id, RequestId>,
    /// Requests that were found answered, and when.
    answered: HashMap<RequestId, Instant>,
    /// The heights from which to look again at requests in which this worker has no part before.
    not_before: HashMap<RequestId, u64>,
    /// Waits for the time when the shares of settled requests can be closed. It holds nobody up,
    /// not even when the worker is stopped.
    closing: JoinSet<()>,
    /// Requests for other engines that the observer has been told about.
    told: HashSet<RequestId>,
    /// The workers that are registered and not suspended, and when they were read.
    roster: Option<(Instant, Vec<AccountId>)>,
    failed_looks: u32,
    summary: Summary,
}

impl Round {
    fn new(services: Arc<Services>) -> Self {
        Self {
            services,
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            answered: HashMap::new(),
            not_before: HashMap::new(),
            closing: JoinSet::new(),
            told: HashSet::new(),
            roster: None,
            failed_looks: 0,
            summary: Summary::default(),
        }
    }

    async fn discover(&mut self) -> Result<Found, ChainError> {
        let config = &self.services.config;
        let (_, pending) = self.services.contract.pending(MOST_PENDING, config.discover_at).await?;
        if pending.is_empty() {
            return Ok(Found { height: 0, pending });
        }
        let fresh = self.roster.as_ref().is_some_and(|(read, _)| read.elapsed() < ROSTER_AGE);
        if !fresh {
            let workers = self.services.contract.workers(MOST_WORKERS, config.discover_at).await?;
            let active: Vec<_> =
                workers.into_iter().filter(|one| !one.suspended).map(|one| one.worker_id).collect();
            // Until this worker is registered, the list is read at every look.
            self.roster = active.contains(&config.account_id).then(|| (Instant::now(), active));
        }
        Ok(Found { height: self.services.height().await?, pending })
    }

    /// Starts attempts for the requests that are to be served now. Returns how long to wait before
    /// the next look.
    fn start(&mut self, found: Result<Found, ChainError>) -> Duration {
        let config = &self.services.config;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.failed_looks = self.failed_looks.saturating_add(1);
                tracing::warn!(
                    %error, failures = self.failed_looks, "the pending requests cannot be read"
                );
                return config.poll_interval.max(config.backoff.wait(self.failed_looks));
            }
        };
        self.failed_looks = 0;
        let live: HashSet<_> = found.pending.iter().map(|one| one.request_id).collect();
        self.services.set_aside().retain(&live);
        self.told.retain(|id| live.contains(id));
        self.answered.retain(|id, found| live.contains(id) && found.elapsed() < ANSWERED);
        self.not_before.retain(|id, _| live.contains(id));
        while self.closing.try_join_next().is_some() {}
        if found.pending.is_empty() {
            return config.poll_interval;
        }
        let Some((_, workers)) = self.roster.clone() else {
            tracing::warn!(
                account = %config.account_id, pending = found.pending.len(),
                "this account is no registered worker, or is suspended; requests wait"
            );
            return config.poll_interval.max(Duration::from_secs(1));
        };
        let me = Me {
            id: &self.services.account.id().clone(),
            workers: &workers,
            engine: ENGINE_VERSION,
            step_in_blocks: config.step_in_blocks,
        };
        let mut pending = found.pending;
        pending.sort_by_key(|one| (one.deadline, one.request_id));
        for request in pending {
            if self.not_before.get(&request.request_id).is_some_and(|from| found.height < *from) {
                continue;
            }
            match decide(&request, found.height, &me) {
                Decision::Serve => self.serve(request.request_id),
                Decision::OthersFirst | Decision::Over => {}
                Decision::NeedsEngine(engine_version) => {
                    let request_id = request.request_id;
                    if self.told.insert(request_id) {
                        tracing::warn!(
                            request = request_id,
                            needed = engine_version.0,
                            "another engine is needed"
                        );
                        self.services.tell(Stage::NeedsEngine { request_id, engine_version });
                    }
                }
            }
        }
        self.services.config.poll_interval
    }

    fn serve(&mut self, request_id: RequestId) {
        let busy = self.in_flight.len() >= self.services.config.in_flight.max(1);
        let aside =
            self.services.set_aside().holds(request_id) || self.answered.contains_key(&request_id);
        if busy || aside || self.in_flight.values().any(|one| *one == request_id) {
            return;
        }
        self.services.tell(Stage::Discovered { request_id });
        let services = Arc::clone(&self.services);
        let span = tracing::info_span!("serve", request = request_id);
        let task = self
            .tasks
            .spawn(async move { attempt::serve(&services, request_id).await }.instrument(span));
        self.in_flight.insert(task.id(), request_id);
    }

    fn note(&mut self, joined: Result<(Id, Attempt), JoinError>) {
        let (id, result) = match joined {
            Ok((id, Ok(done))) => (id, Ok(done)),
            Ok((id, Err(error))) => (id, Err((error.to_string(), Some(error)))),
            Err(error) => (error.id(), Err((format!("the attempt was broken off: {error}"), None))),
        };
        let Some(request_id) = self.in_flight.remove(&id) else {
            return;
        };
        match result {
            Ok(Done::NotNow { until }) => {
                tracing::debug!(request = request_id, ?until, "no part in it now");
                self.services.set_aside().forget(request_id);
                self.not_before.insert(request_id, until.unwrap_or(u64::MAX));
            }
            Ok(done) => {
                tracing::info!(request = request_id, ?done, "done");
                self.services.set_aside().forget(request_id);
                if done == Done::Over {
                    self.answered.insert(request_id, Instant::now());
                }
                if matches!(done, Done::Settled | Done::SharesOpen) {
                    self.summary.settled += 1;
                    self.services.tell(Stage::Settled { request_id });
                }
                if done == Done::SharesOpen {
                    let services = Arc::clone(&self.services);
                    self.closing.spawn(async move {
                        shares::close_when_over(&services, request_id).await;
                    });
                }
            }
            Err((reason, error)) => {
                let (failures, wait) = self.services.set_aside().failed(request_id, error.as_ref());
                tracing::warn!(
                    request = request_id, %reason, failures, retry_in = ?wait,
                    "no answer this time"
                );
                self.summary.failed += 1;
                self.services.tell(Stage::Failed { request_id, reason });
            }
        }
    }
}
