//! The worker's loop: it discovers requests, starts attempts, and notes what came of them.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use outlayer_client::{EndpointHealth, PublicKey, SecretKey};
use outlayer_guest::EngineId;
use outlayer_protocol::{AccountId, RequestId};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::Instrument as _;

use super::{
    Stage, WorkerConfig, WorkerError,
    agreement::shares,
    ahead,
    attempt::{self, Done, Preparing},
    error::ServeError,
    fleet::Queues,
    schedule::{Next, Waiting, WaitingList},
    services::{Pulse, Services},
    stage::discover::{
        self,
        decide::{Decision, decide},
        source::{BlockSource, BlockTime, Poller},
        standing::{self, ROSTER_AGE, Standing},
        window::Window,
    },
    task::task,
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

/// How long a request is left alone that was found answered. It is settled in a block or two, or
/// else its callback has failed.
const ANSWERED: Duration = Duration::from_secs(10);

/// How long blocks are not believed that still show such a request, and are older than the one in
/// which it was found answered: a node lags. A node that has gone back for good is believed then.
const LAGGING: Duration = Duration::from_secs(60);

impl Worker {
    /// Sets a worker up. Nothing is asked or sent yet.
    ///
    /// # Errors
    /// [`WorkerError`] for a configuration that this machine cannot serve.
    pub fn new(config: WorkerConfig) -> Result<Self, WorkerError> {
        Ok(Self { services: Arc::new(Services::new(config)?) })
    }

    #[cfg(test)]
    pub(super) fn of(services: Services) -> Self {
        Self { services: Arc::new(services) }
    }

    #[cfg(test)]
    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// How the endpoints of the node have been answering.
    pub fn endpoints(&self) -> Vec<EndpointHealth> {
        self.services.contract.node().health()
    }

    /// When the worker's loop last turned, and what it has seen.
    pub fn pulse(&self) -> Pulse {
        self.services.pulse()
    }

    /// The account that answers.
    pub fn account_id(&self) -> &AccountId {
        self.services.account.id()
    }

    /// The public parts of the keys that sign.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.services.account.public_keys()
    }

    /// Signs with these keys from now on. What is signed already goes its way. Commitments are
    /// still salted with the first key that the worker was given, so that it can reveal those that
    /// it has made.
    pub fn replace_keys(&self, secret_keys: impl IntoIterator<Item = SecretKey>) {
        self.services.account.replace_keys(secret_keys);
        self.services.submitter.resize(self.public_keys().len());
    }

    /// Serves requests until `shutdown` is ready. Then the requests in flight have the time of
    /// [`WorkerConfig::shutdown_grace`] to end.
    ///
    /// While the node cannot be reached, the worker waits for it: only `shutdown` ends this.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Summary {
        let (config, node) = (&self.services.config, self.services.contract.node().clone());
        let poller = Poller::new(node, config.discover_at, config.poll_interval);
        self.run_on(Box::new(poller), shutdown).await
    }

    /// The same, with blocks from `source`: it gives blocks as they are at
    /// [`WorkerConfig::discover_at`].
    pub async fn run_on(
        &self,
        mut source: Box<dyn BlockSource>,
        shutdown: impl Future<Output = ()>,
    ) -> Summary {
        let mut shutdown = pin!(shutdown);
        let services = &self.services;
        let config = &services.config;
        let mut round = Round::new(Arc::clone(services));
        // It is broken off when the worker stops: the next one finds the shares again.
        let mut shares = JoinSet::new();
        shares.spawn(task(shares::watch(Arc::clone(services), Duration::ZERO)));
        let mut compiling = JoinSet::new();
        if config.ahead_bytes_per_hour > 0 {
            compiling.spawn(ahead::watch(Arc::clone(services)));
        }
        tracing::info!(
            contract = %config.contract_id, account = %config.account_id,
            keys = services.account.public_keys().len(),
            node = %services.contract.node().shown_url(),
            engines = ?services.engines.ids().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "the worker is looking for requests"
        );
        let (looks, mut looked) = mpsc::channel(1);
        let mut looking = pin!(explore(services, source.as_mut(), Arc::clone(&round.busy), looks));
        let (stands, mut stood) = watch::channel(None);
        let mut standing = pin!(standing::watch(services, stands));
        let mut tick = tokio::time::interval(config.poll_interval.max(Duration::from_millis(10)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = &mut looking => break,
                () = &mut standing => break,
                Some(Looked) = looked.recv() => round.refresh(),
                Ok(()) = stood.changed() => {
                    round.standing.clone_from(&stood.borrow_and_update());
                    round.refresh();
                }
                Some(joined) = round.tasks.join_next_with_id() => round.note(joined),
                () = round.freed.notified() => round.fill(),
                // Only a defect of this program ends it.
                Some(ended) = shares.join_next() => {
                    tracing::error!(?ended, "looking after open shares again");
                    shares.spawn(shares::watch(Arc::clone(services), config.backoff.most));
                }
                // What was set aside may be due again.
                _ = tick.tick() => {
                    services.beat();
                    if round.has_put_off() {
                        round.refresh();
                    }
                }
            }
        }
        tracing::info!(in_flight = round.tasks.len(), "the worker is stopping");
        let grace = Instant::now() + config.shutdown_grace;
        let ending = async {
            while let Some(joined) = round.tasks.join_next_with_id().await {
                round.note_only(joined);
            }
        };
        // Blocks are looked at until the end: requests wait for their settlement.
        let ended = async {
            tokio::select! {
                () = ending => {}
                () = &mut looking => {}
                () = async { while looked.recv().await.is_some() {} } => {}
            }
        };
        let _ = tokio::time::timeout_at(grace, ended).await;
        round.tasks.shutdown().await;
        round.summary
    }
}

/// What the loop is told when there is another look at the chain.
struct Looked;

/// Looks at the chain after each block. All questions to the node are asked beside the loop, which
/// hears at any time that it is to stop; and those about this worker beside this, so that no look
/// waits for them.
async fn explore(
    services: &Services,
    source: &mut dyn BlockSource,
    busy: Arc<AtomicBool>,
    looks: mpsc::Sender<Looked>,
) {
    let (mut times, mut window) = (BlockTime::default(), Window::default());
    let mut failures: u32 = 0;
    loop {
        let found = match source.next(busy.load(Ordering::Relaxed)).await {
            Ok(block) => discover::look(services, block, &mut times, &mut window).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(look) => {
                failures = 0;
                services.publish(Arc::new(look));
                if looks.send(Looked).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(%error, failures, "the pending requests cannot be read");
                let wait = services.config.backoff.wait(failures);
                tokio::time::sleep(services.config.poll_interval.max(wait)).await;
            }
        }
    }
}

type Attempt = Result<Done, ServeError>;

/// What the loop remembers between looks. Losing it costs time, never a request.
struct Round {
    services: Arc<Services>,
    tasks: JoinSet<Attempt>,
    in_flight: HashMap<Id, RequestId>,
    /// Those of `in_flight`, to look up.
    served: HashSet<RequestId>,
    /// Requests that are to be served, when there is a place for them.
    waiting: WaitingList,
    /// The places for requests that are made ready for their execution.
    preparing: Arc<Semaphore>,
    /// Tells of a place that is free again.
    freed: Arc<Notify>,
    /// Whether requests wait for blocks.
    busy: Arc<AtomicBool>,
    /// Requests that were found answered.
    answered: HashMap<RequestId, Answered>,
    /// The heights from which to look again at requests in which this worker has no part before.
    not_before: HashMap<RequestId, u64>,
    /// Requests that the observer has been told are not served here.
    told: HashSet<RequestId>,
    /// How this worker stands, once it is known.
    standing: Option<Standing>,
    /// When it was last said why nothing is served.
    complained: Option<Instant>,
    summary: Summary,
}

/// When a request was found answered, and the height of the newest block that was seen then.
struct Answered {
    found: Instant,
    height: u64,
}

impl Answered {
    /// Whether the request is left alone, though a block of this height shows it.
    fn holds(&self, height: u64) -> bool {
        self.found.elapsed() < ANSWERED || height <= self.height
    }
}

impl Round {
    fn new(services: Arc<Services>) -> Self {
        let prepared = services.config.places.prepared.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            services,
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            served: HashSet::new(),
            waiting: WaitingList::default(),
            preparing: Arc::new(Semaphore::new(prepared)),
            freed: Arc::default(),
            busy: Arc::default(),
            answered: HashMap::new(),
            not_before: HashMap::new(),
            told: HashSet::new(),
            standing: None,
            complained: None,
            summary: Summary::default(),
        }
    }

    fn forget_all_but(&mut self, live: &HashSet<RequestId>) {
        self.services.set_aside().retain(live);
        self.services.forget_executions(live, std::time::Instant::now());
        self.told.retain(|id| live.contains(id));
        // They may be shown again, by a node that lags.
        self.answered.retain(|_, answered| answered.found.elapsed() < LAGGING);
        self.not_before.retain(|id, _| live.contains(id));
    }

    /// Whether a request is left alone for a while, so that it may be due before the next block.
    fn has_put_off(&self) -> bool {
        let look = self.services.look();
        self.answered.keys().any(|id| look.live().contains(id))
            || !self.services.set_aside().is_empty()
    }

    /// Puts those requests on the waiting list that are to be served now, by the latest look, and
    /// starts attempts.
    fn refresh(&mut self) {
        let look = self.services.look();
        let time = look.time();
        self.forget_all_but(look.live());
        self.waiting = std::mem::take(&mut self.waiting).without_requests();
        self.busy.store(!look.pending.is_empty() || !self.tasks.is_empty(), Ordering::Relaxed);
        if look.pending.is_empty() {
            return;
        }
        let Some(standing) = &self.standing else {
            return;
        };
        let workers = match standing.fit(self.services.account.id()) {
            Ok(workers) => workers,
            Err(unfit) => {
                if self.complained.is_none_or(|told| told.elapsed() > ROSTER_AGE) {
                    self.complained = Some(Instant::now());
                    tracing::warn!(reason = %unfit, pending = look.pending.len(), "requests wait");
                }
                return;
            }
        };
        let engines = self.services.engines.ids();
        let fleet = &self.services.fleet;
        fleet.update(&workers, |request_id| look.live().contains(&request_id));
        let mut pending: Vec<_> = look.pending.iter().collect();
        pending.sort_by_key(|request| (request.deadline, request.request_id));
        let mut queues = Queues::default();
        for request in pending {
            let request_id = request.request_id;
            let queued = fleet.queue(&mut queues, request);
            let is_known = self.served.contains(&request_id)
                || self.answered.get(&request_id).is_some_and(|one| one.holds(look.block.height))
                || self.not_before.get(&request_id).is_some_and(|from| time.height < *from)
                || self.services.set_aside().holds(request_id);
            if is_known {
                continue;
            }
            // What the index shows of claims is as of its own block.
            let height = look.block.height;
            let turn = |request: &_| fleet.turn(request, look.block_nanos, queued);
            let can_open = self.services.can_open(request);
            match decide(request, height, &engines, can_open, turn) {
                Decision::Serve { waited } => self.waiting.add(Waiting {
                    request_id,
                    payer: request.payer.clone(),
                    deadline: request.deadline,
                    waited,
                    nanos: self.services.expected_nanos(request.compute),
                    failures: self.services.set_aside().failures(request_id),
                }),
                Decision::OthersFirst | Decision::NotEntitled | Decision::Over => {}
                Decision::NeedsEngine(EngineId { version, near_config_version }) => {
                    if self.told.insert(request_id) {
                        tracing::warn!(
                            request = request_id,
                            needed = version.0,
                            near_config_version,
                            "another engine is needed: it is left to workers that have it"
                        );
                        let engine_version = version;
                        self.services.tell(Stage::NeedsEngine { request_id, engine_version });
                    }
                }
            }
        }
        self.fill();
    }

    /// Starts attempts while there are places and requests that wait for them.
    fn fill(&mut self) {
        let in_flight = self.services.config.places.in_flight.max(1);
        while self.in_flight.len() < in_flight {
            let Ok(place) = Arc::clone(&self.preparing).try_acquire_owned() else {
                return;
            };
            match self.waiting.next(self.services.look().time()) {
                Some(Next::Take(next)) => {
                    let preparing = Preparing::new(place, Arc::clone(&self.freed));
                    self.serve(next.request_id, preparing);
                }
                Some(Next::TooLate(late)) => self.too_late(late.request_id),
                None => return,
            }
        }
    }

    fn too_late(&mut self, request_id: RequestId) {
        if self.told.insert(request_id) {
            tracing::warn!(
                request = request_id,
                "no answer can land before the deadline any more: it is not served"
            );
            self.services.tell(Stage::TooLate { request_id });
        }
    }

    fn serve(&mut self, request_id: RequestId, preparing: Preparing) {
        self.services.tell(Stage::Discovered { request_id });
        let services = Arc::clone(&self.services);
        let span = tracing::info_span!("serve", request = request_id);
        let attempt = async move { attempt::serve(&services, request_id, preparing).await };
        let task = self.tasks.spawn(task(attempt.instrument(span)));
        self.in_flight.insert(task.id(), request_id);
        self.served.insert(request_id);
    }

    /// Notes how an attempt ended, and gives its place to another.
    fn note(&mut self, joined: Result<(Id, Attempt), JoinError>) {
        self.note_only(joined);
        self.fill();
    }

    fn note_only(&mut self, joined: Result<(Id, Attempt), JoinError>) {
        let (id, result) = match joined {
            Ok((id, Ok(done))) => (id, Ok(done)),
            Ok((id, Err(error))) => (id, Err((error.to_string(), Some(error)))),
            Err(error) => (error.id(), Err((format!("the attempt was broken off: {error}"), None))),
        };
        let Some(request_id) = self.in_flight.remove(&id) else {
            return;
        };
        self.served.remove(&request_id);
        match result {
            Ok(Done::NotNow { until }) => {
                tracing::debug!(request = request_id, ?until, "no part in it now");
                self.services.tell(Stage::Left { request_id });
                self.services.set_aside().forget(request_id);
                self.not_before.insert(request_id, until.unwrap_or(u64::MAX));
            }
            Ok(done) => {
                tracing::info!(request = request_id, ?done, "done");
                self.services.set_aside().forget(request_id);
                if matches!(done, Done::Over | Done::Settled) {
                    let height = self.services.look().block.height;
                    self.answered.insert(request_id, Answered { found: Instant::now(), height });
                }
                if done == Done::Over {
                    self.services.tell(Stage::Left { request_id });
                }
                // It is not remembered: the height that says so may be a lie, or of another fork.
                if done == Done::Expired {
                    self.too_late(request_id);
                }
                if done == Done::Settled {
                    self.summary.settled += 1;
                    self.services.tell(Stage::Settled { request_id });
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
