//! The loop: discover, start, note what came of it.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use outlayer_protocol::{AccountId, RequestId, views::PendingView};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::Instrument as _;

use super::{
    Stage, WorkerConfig,
    attempt::{self, Done, ServeError},
    discover::{Decision, Me, decide},
};
use crate::{
    chain::{Account, At, ChainError, Contract, Node},
    code::CodeStore,
    engine::{self, Engine, EngineError},
};

/// A worker that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The node's address is none.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The engine cannot be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store of code cannot be opened.
    #[error("the store of code cannot be opened: {0}")]
    Code(#[from] std::io::Error),
}

/// What a worker did while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// Requests that it served and that are settled.
    pub settled: u64,
    /// Attempts that gave no answer; the request may have been served later.
    pub failed: u64,
}

/// What all parts of a worker use.
pub(super) struct Shared {
    pub(super) config: WorkerConfig,
    pub(super) contract: Contract,
    pub(super) account: Account,
    pub(super) codes: CodeStore,
    pub(super) engine: Engine,
}

impl Shared {
    pub(super) fn tell(&self, stage: Stage) {
        if let Some(observer) = &self.config.observer {
            observer(&stage);
        }
    }

    /// The height of the newest block.
    pub(super) async fn height(&self) -> Result<u64, ChainError> {
        Ok(self.contract.node().block(At::Optimistic).await?.height)
    }
}

/// A worker. All it knows is on the chain: it may be stopped at any point, and another started in its place.
pub struct Worker {
    shared: Arc<Shared>,
}

/// The most pending requests that one look takes in.
const MOST_PENDING: usize = 10_000;
/// The most registered workers that are counted.
const MOST_WORKERS: usize = 1_000;
/// How long the list of registered workers is believed.
const ROSTER_AGE: Duration = Duration::from_secs(10);

impl Worker {
    /// Sets a worker up; nothing is asked or sent yet.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub fn new(config: WorkerConfig) -> Result<Self, WorkerError> {
        let node = Node::new(&config.node)?;
        let contract = Contract::new(node.clone(), config.contract_id.clone());
        let account = Account::new(node, config.account_id.clone(), config.secret_key.clone());
        let codes = CodeStore::new(config.code.clone())?;
        let engine = Engine::new(config.executor.clone(), config.concurrency)?;
        Ok(Self { shared: Arc::new(Shared { config, contract, account, codes, engine }) })
    }

    /// Serves requests until `shutdown` is ready, then gives those in flight the grace of the configuration.
    ///
    /// A node that cannot be reached is waited for; nothing ends this but `shutdown`.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Summary {
        let mut shutdown = pin!(shutdown);
        let mut round = Round::new(Arc::clone(&self.shared));
        let (engine_version, near_config_version) = engine::served();
        let config = &self.shared.config;
        tracing::info!(
            contract = %config.contract_id, account = %config.account_id, node = %self.shared.contract.node().shown_url(),
            engine = engine_version.0, near_config_version, "the worker is looking for requests"
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
    pending: Vec<PendingView>,
}

type Attempt = Result<Done, ServeError>;

/// What the loop remembers between looks. Losing it costs time, never a request.
struct Round {
    shared: Arc<Shared>,
    tasks: JoinSet<Attempt>,
    in_flight: HashMap<Id, RequestId>,
    /// After failures: how many in a row, and when to try again.
    cooling: HashMap<RequestId, (u32, Instant)>,
    /// Requests for other engines that were told about.
    told: HashSet<RequestId>,
    roster: Option<(Instant, Vec<AccountId>)>,
    failed_looks: u32,
    summary: Summary,
}

impl Round {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            cooling: HashMap::new(),
            told: HashSet::new(),
            roster: None,
            failed_looks: 0,
            summary: Summary::default(),
        }
    }

    async fn discover(&mut self) -> Result<Found, ChainError> {
        let config = &self.shared.config;
        let pending = self.shared.contract.all_pending(MOST_PENDING, config.discover_at).await?;
        if pending.is_empty() {
            return Ok(Found { height: 0, pending });
        }
        let fresh = self.roster.as_ref().is_some_and(|(read, _)| read.elapsed() < ROSTER_AGE);
        if !fresh {
            let workers = self.shared.contract.workers(MOST_WORKERS, config.discover_at).await?;
            let active: Vec<_> =
                workers.into_iter().filter(|one| !one.suspended).map(|one| one.worker_id).collect();
            // Until this worker is registered the list is read every time.
            self.roster = active.contains(&config.account_id).then(|| (Instant::now(), active));
        }
        Ok(Found { height: self.shared.height().await?, pending })
    }

    /// Starts what is to be served; how long to wait before the next look.
    fn start(&mut self, found: Result<Found, ChainError>) -> Duration {
        let config = &self.shared.config;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.failed_looks = self.failed_looks.saturating_add(1);
                tracing::warn!(%error, failures = self.failed_looks, "the pending requests cannot be read");
                return config.poll_interval.max(config.backoff.wait(self.failed_looks));
            }
        };
        self.failed_looks = 0;
        let live: HashSet<_> = found.pending.iter().map(|one| one.request_id).collect();
        self.cooling.retain(|id, _| live.contains(id));
        self.told.retain(|id| live.contains(id));
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
            id: &self.shared.account.id().clone(),
            workers: &workers,
            engine: engine::served().0,
            step_in_blocks: config.step_in_blocks,
        };
        let mut pending = found.pending;
        pending.sort_by_key(|one| (one.deadline, one.request_id));
        for request in pending {
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
                        self.shared.tell(Stage::NeedsEngine { request_id, engine_version });
                    }
                }
            }
        }
        self.shared.config.poll_interval
    }

    fn serve(&mut self, request_id: RequestId) {
        let busy = self.in_flight.len() >= self.shared.config.in_flight.max(1);
        let cooling =
            self.cooling.get(&request_id).is_some_and(|(_, until)| Instant::now() < *until);
        if busy || cooling || self.in_flight.values().any(|one| *one == request_id) {
            return;
        }
        self.shared.tell(Stage::Discovered { request_id });
        let shared = Arc::clone(&self.shared);
        let span = tracing::info_span!("serve", request = request_id);
        let task = self
            .tasks
            .spawn(async move { attempt::serve(&shared, request_id).await }.instrument(span));
        self.in_flight.insert(task.id(), request_id);
    }

    fn note(&mut self, joined: Result<(Id, Attempt), JoinError>) {
        let (id, result) = match joined {
            Ok((id, result)) => (id, result.map_err(|error| error.to_string())),
            Err(error) => (error.id(), Err(format!("the attempt was broken off: {error}"))),
        };
        let Some(request_id) = self.in_flight.remove(&id) else {
            return;
        };
        match result {
            Ok(done) => {
                tracing::info!(request = request_id, ?done, "done");
                self.cooling.remove(&request_id);
                if done == Done::Settled {
                    self.summary.settled += 1;
                    self.shared.tell(Stage::Settled { request_id });
                }
            }
            Err(reason) => {
                let failures = self
                    .cooling
                    .get(&request_id)
                    .map_or(0, |(failures, _)| *failures)
                    .saturating_add(1);
                let wait = self.shared.config.backoff.wait(failures);
                tracing::warn!(request = request_id, %reason, failures, retry_in = ?wait, "no answer this time");
                self.cooling.insert(request_id, (failures, Instant::now() + wait));
                self.summary.failed += 1;
                self.shared.tell(Stage::Failed { request_id, reason });
            }
        }
    }
}
