//! What all parts of a worker use: its configuration, the chain, the code, the stages' places.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use outlayer_client::{At, CallOutcome, ChainError, Contract, Node, SendError, SigningAccount};
use outlayer_fetch::Web;
use outlayer_guest::Engines;
use outlayer_modules::CodeStore;
use outlayer_protocol::{
    Bytes, Compute, ExecutionResponse, Hash32, Meter, NearToken, RequestId, commitment::Salt,
    index::PendingEntry, machine::LiveRequest, methods, views::RequestView,
};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{
    Stage, WorkerConfig, WorkerError,
    agreement::{salt::Salts, seat::Mine},
    attempt::Executed,
    fleet::Fleet,
    schedule::Waiting,
    secrets::Opener,
    set_aside::SetAside,
    stage::{
        discover::{Liveness, Look},
        execute::ExecutionPool,
        fetch::{CodeMemory, Records},
        submit::batch::Submitter,
    },
};

const KIB: usize = 1 << 10;
/// How long an execution is kept for the next attempt: longer than a yield waits.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// How long blocks are not believed that do not show the request of an execution that is kept: a
/// node lags, or a reorg brings the request back.
const LAGGING: Duration = Duration::from_secs(60);
/// An execution, and what was made of it.
type Kept = (Executed, Mine);
/// How far the newest block may be above the one that was looked at last, which may be of a node
/// that lags.
const MOST_AHEAD: u64 = 100;

pub(super) struct Services {
    pub(super) config: WorkerConfig,
    pub(super) contract: Contract,
    pub(super) account: SigningAccount,
    pub(super) salts: Salts,
    /// Records as of the blocks at which requests are looked for.
    pub(super) records: Records,
    /// Records as of the newest block.
    pub(super) newest: Records,
    /// Records as of the newest final block.
    pub(super) finals: Records,
    pub(super) codes: CodeStore,
    pub(super) downloads: CodeMemory,
    pub(super) published: CodeMemory,
    /// What opens secrets, if this worker has a key.
    pub(super) opener: Option<Opener>,
    /// What executes.
    pub(super) engines: Engines,
    pub(super) pool: ExecutionPool,
    /// Places for requests that are claimed and wait for their execution.
    pub(super) claiming: ExecutionPool,
    /// The other workers.
    pub(super) fleet: Fleet,
    pub(super) submitter: Submitter,
    looks: watch::Sender<Option<Arc<Look>>>,
    /// How many requests wait for a final block.
    finality: AtomicUsize,
    answers: Arc<Semaphore>,
    speeds: Speeds,
    set_aside: Mutex<SetAside>,
    /// Executions of attempts that failed, for the next attempt, and when each was kept.
    kept: Mutex<HashMap<RequestId, (Kept, Instant)>>,
    /// When the loop last turned.
    beaten: Mutex<Instant>,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// How long ago the worker's loop turned. It does so every [`WorkerConfig::poll_interval`].
    pub age: Duration,
    /// How many live requests it has seen last.
    pub pending: usize,
    /// How long ago the newest block was seen after which the live requests could be read. `None`
    /// before the first one.
    pub looked: Option<Duration>,
}

/// A request that waits for a final block, until this is dropped.
pub(super) struct AwaitsFinal<'a>(&'a AtomicUsize);

impl Drop for AwaitsFinal<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The shortest times that a unit of fuel and of gas were measured to take, in femtoseconds.
#[derive(Debug, Default)]
struct Speeds {
    fuel: Mutex<Option<u64>>,
    gas: Mutex<Option<u64>>,
}

impl Services {
    /// Sets everything up. Nothing is asked or sent yet.
    pub(super) fn new(config: WorkerConfig) -> Result<Self, WorkerError> {
        let node = Node::new(&config.node)?;
        let contract = Contract::new(node.clone(), config.contract_id.clone());
        let keys: Vec<_> =
            [&config.secret_key].into_iter().chain(&config.more_keys).cloned().collect();
        let count = keys.len();
        let account = SigningAccount::with_keys(node, config.account_id.clone(), keys).patient();
        let contract_id = config.contract_id.clone();
        let submitter = Submitter::new(account.clone(), contract_id, config.gas, count)
            .observed(config.observer.clone());
        let salts = Salts::new(&config.secret_key, config.contract_id.clone());
        let codes = CodeStore::new(config.code.clone())?;
        let (places, max_code_bytes) = (config.places, config.code.max_code_bytes);
        let engines = config.engines();
        let web = Web::new(config.probed_fetch())?;
        let pool = ExecutionPool::new(engines.clone(), config.concurrency, web.clone());
        let claiming = ExecutionPool::new(engines.clone(), config.concurrency, web);
        let fleet = Fleet::new(config.account_id.clone(), config.replica, config.step_in_blocks);
        let set_aside = SetAside::open(&config).map_err(|source| WorkerError::State {
            folder: config.state_dir.clone().unwrap_or_default(),
            source,
        })?;
        let answers = Arc::new(Semaphore::new((places.answer_bytes / KIB).max(1)));
        Ok(Self {
            records: Records::new(contract.clone(), config.discover_at),
            newest: Records::new(contract.clone(), At::Optimistic),
            finals: Records::new(contract.clone(), At::Final),
            contract,
            account,
            salts,
            codes,
            downloads: CodeMemory::new(places.downloads, max_code_bytes),
            published: CodeMemory::new(places.published, max_code_bytes),
            opener: Opener::new(&config)?,
            engines,
            pool,
            claiming,
            fleet,
            submitter,
            looks: watch::Sender::new(None),
            finality: AtomicUsize::new(0),
            answers,
            speeds: Speeds::default(),
            set_aside: Mutex::new(set_aside),
            kept: Mutex::default(),
            beaten: Mutex::new(Instant::now()),
            config,
        })
    }

    /// Notes that the loop turns now.
    pub(super) fn beat(&self) {
        *self.beaten.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn pulse(&self) -> Pulse {
        let beaten = *self.beaten.lock().unwrap_or_else(PoisonError::into_inner);
        let look = self.looks.borrow().clone();
        let pending = look.as_ref().map_or(0, |look| look.pending.len());
        Pulse { age: beaten.elapsed(), pending, looked: look.map(|look| look.age()) }
    }

    /// The requests whose last attempt failed.
    pub(super) fn set_aside(&self) -> MutexGuard<'_, SetAside> {
        self.set_aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What attempts that failed have executed, by request.
    pub(super) fn kept_executions(&self) -> MutexGuard<'_, HashMap<RequestId, (Kept, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an execution for the next attempt.
    pub(super) fn keep_execution(&self, request_id: RequestId, executed: Kept) {
        self.kept_executions().insert(request_id, (executed, Instant::now()));
    }

    /// Forgets the executions of requests that are over, which take memory for answers: a look does
    /// not show them for a while, or no attempt takes them up.
    pub(super) fn forget_executions(&self, live: &HashSet<RequestId>, now: Instant) {
        self.kept_executions().retain(|request_id, (_, since)| {
            let most = if live.contains(request_id) { KEPT_FOR } else { LAGGING };
            now.saturating_duration_since(*since) < most
        });
    }

    /// Tells the observer, if there is one.
    pub(super) fn tell(&self, stage: Stage) {
        if let Some(observer) = &self.config.observer {
            observer(&stage);
        }
    }

    /// Calls a method of the contract as this worker, and attaches nothing but gas.
    pub(super) async fn call(&self, method: &str, args: Vec<u8>) -> Result<CallOutcome, SendError> {
        let nothing = NearToken::from_yoctonear(0);
        let gas = self.config.gas;
        let called = self.account.call(self.contract.id(), method, args, gas, nothing).await?;
        self.tell(Stage::Called { gas_burnt: called.gas_burnt });
        Ok(called)
    }

    /// Reveals the digest that this worker has committed to with `salt`, for a request that is live
    /// or whose shares are open.
    pub(super) async fn reveal(
        &self,
        request_id: RequestId,
        digest: &Hash32,
        salt: &Salt,
    ) -> Result<CallOutcome, SendError> {
        let salt = Bytes::from(salt.as_slice());
        let args = json!({ "request_id": request_id, "digest": digest, "salt": salt });
        self.call(methods::REVEAL_EXECUTION, args.to_string().into_bytes()).await
    }

    /// Closes a request on which no agreement is possible, or the open shares of a settled one.
    pub(super) async fn close(&self, request_id: RequestId) -> Result<CallOutcome, SendError> {
        let args = json!({ "request_id": request_id }).to_string().into_bytes();
        self.call(methods::CLOSE, args).await
    }

    /// Whether requests are looked for in the newest block.
    pub(super) fn is_optimistic(&self) -> bool {
        self.config.discover_at == At::Optimistic
    }

    /// The contract from which the guest of a request is given what it reads.
    pub(super) fn contract_of(&self, request: &LiveRequest) -> &Contract {
        match &self.opener {
            Some(opener) if request.secrets.is_some() => opener.contract(),
            _ => &self.contract,
        }
    }

    /// Whether this worker can serve a request, as far as its secrets decide it.
    pub(super) fn can_open(&self, entry: &PendingEntry) -> bool {
        entry.recipients.is_empty() || (self.opener.is_some() && entry.entitles(self.account.id()))
    }

    /// Publishes a look at the chain to all that wait for one.
    pub(super) fn publish(&self, look: Arc<Look>) {
        self.pool.at(look.time());
        self.claiming.at(look.time());
        self.submitter.pace(look.block_nanos);
        self.looks.send_replace(Some(look));
    }

    /// The latest look. Attempts begin after the first one.
    pub(super) fn look(&self) -> Arc<Look> {
        self.looks.borrow().clone().unwrap_or_default()
    }

    /// Hears of all looks, also of the latest one.
    pub(super) fn looks(&self) -> watch::Receiver<Option<Arc<Look>>> {
        let mut looks = self.looks.subscribe();
        looks.mark_changed();
        looks
    }

    /// The next look.
    pub(super) async fn next_look(&self) -> Arc<Look> {
        let mut looks = self.looks.subscribe();
        // The sender lives as long as this.
        let _ = looks.changed().await;
        let look = looks.borrow_and_update().clone();
        look.unwrap_or_default()
    }

    /// Waits for a look at a block of this height or a higher one.
    pub(super) async fn reach(&self, height: u64) {
        while self.next_look().await.block.height < height {}
    }

    /// Says whether an answer could no longer land before a deadline, whenever it is asked.
    pub(super) fn is_past(&self, deadline: u64) -> impl Fn() -> bool + Send + Sync + 'static {
        let looks = self.looks.subscribe();
        move || looks.borrow().as_ref().is_some_and(|look| !look.time().can_land(deadline))
    }

    /// The newest record of a request, once a final block has it too; `None` when the request is
    /// over.
    pub(super) async fn once_final(
        &self,
        request_id: RequestId,
    ) -> Result<Option<RequestView>, ChainError> {
        loop {
            if self.finals.get(request_id).await?.is_some() {
                return self.newest.get(request_id).await;
            }
            // Should no final block ever have it, its deadline passes.
            match self.newest.get(request_id).await? {
                Some(view) if !view.request.is_expired(self.height().await?) => {}
                _ => return Ok(None),
            }
            self.pause().await;
        }
    }

    /// Waits for the next block. Should none come, it ends all the same after a while.
    pub(super) async fn pause(&self) {
        let block = Duration::from_nanos(self.look().block_nanos);
        let most = block.max(self.config.poll_interval).saturating_mul(2);
        let _ = tokio::time::timeout(most, self.next_look()).await;
    }

    /// The height of the newest block.
    pub(super) async fn height(&self) -> Result<u64, ChainError> {
        if self.is_optimistic() {
            return Ok(self.look().block.height);
        }
        Ok(self.contract.node().block(At::Optimistic).await?.height)
    }

    /// The height of the newest block that any endpoint has shown. One that lies is not believed
    /// for more than [`MOST_AHEAD`] blocks.
    pub(super) fn newest_height(&self) -> u64 {
        let looked = self.look().block.height;
        let shown = self.contract.node().health().into_iter().filter_map(|one| one.height).max();
        shown.unwrap_or(0).clamp(looked, looked.saturating_add(MOST_AHEAD))
    }

    /// Has the following looks read the index of the newest final block too.
    pub(super) fn await_final(&self) -> AwaitsFinal<'_> {
        self.finality.fetch_add(1, Ordering::Relaxed);
        AwaitsFinal(&self.finality)
    }

    /// Whether somebody waits for a final block.
    pub(super) fn awaits_final(&self) -> bool {
        self.finality.load(Ordering::Relaxed) > 0
    }

    /// Whether a request that the newest block does not have is over in a final one, too. `since`
    /// is a height at which it was live: an older block may not have it yet.
    pub(super) async fn is_over_finally(
        &self,
        request_id: RequestId,
        since: u64,
    ) -> Result<bool, ChainError> {
        match self.look().shows_finally(request_id, since) {
            Liveness::Gone => Ok(true),
            Liveness::Live => Ok(false),
            Liveness::Unknown => {
                let block = self.contract.node().block(At::Final).await?;
                if block.height < since {
                    return Ok(false);
                }
                Ok(self.contract.request(request_id, At::Hash(block.hash)).await?.is_none())
            }
        }
    }

    /// Waits for room for a body that is to be sent.
    pub(super) async fn room_for(
        &self,
        response: &ExecutionResponse,
    ) -> Option<OwnedSemaphorePermit> {
        let journal = response.journal.iter().map(|entry| entry.bytes()).sum::<u64>();
        let bytes = [response.output.len(), response.plan.len(), response.transcript.len()]
            .into_iter()
            .fold(usize::try_from(journal).unwrap_or(0), usize::saturating_add);
        let all = (self.config.places.answer_bytes / KIB).max(1);
        let kib = u32::try_from(bytes.div_ceil(KIB).clamp(1, all)).unwrap_or(u32::MAX);
        Arc::clone(&self.answers).acquire_many_owned(kib).await.ok()
    }

    /// Notes how long an execution took.
    pub(super) fn measured(&self, used: Compute, took: Duration) {
        // A short execution says more of the process than of the guest.
        if took < Duration::from_millis(20) || used.amount() == 0 {
            return;
        }
        self.fleet.measured(used, took);
        let femtos = took.as_nanos().saturating_mul(1_000_000) / u128::from(used.amount());
        let femtos = u64::try_from(femtos).unwrap_or(u64::MAX);
        let mut speed = self.speed(used).lock().unwrap_or_else(PoisonError::into_inner);
        *speed = Some(speed.map_or(femtos, |known| known.min(femtos)));
    }

    /// A request as it waits for a place.
    pub(super) fn waiting(&self, request: &LiveRequest) -> Waiting {
        let request_id = request.id();
        let turn = request.agreement.is_none().then(|| {
            let entry = PendingEntry::from(request);
            self.fleet.turn(&entry, self.look().block_nanos, 0).waits(&entry)
        });
        Waiting {
            request_id,
            payer: request.payer().clone(),
            deadline: request.terms.deadline,
            waited: turn.unwrap_or(0),
            nanos: self.expected_nanos(request.limits.compute),
            failures: self.set_aside().failures(request_id),
        }
    }

    /// How long an execution takes that uses all of its compute, by the fastest that was measured.
    /// Nothing is known before the first one.
    pub(super) fn expected_nanos(&self, compute: Compute) -> u64 {
        let speed = *self.speed(compute).lock().unwrap_or_else(PoisonError::into_inner);
        let femtos = u128::from(speed.unwrap_or(0)) * u128::from(compute.amount());
        u64::try_from(femtos / 1_000_000).unwrap_or(u64::MAX)
    }

    fn speed(&self, compute: Compute) -> &Mutex<Option<u64>> {
        match compute.meter() {
            Meter::Fuel => &self.speeds.fuel,
            Meter::Gas => &self.speeds.gas,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use outlayer_client::testing::{Chain, FakeNode, request_view};
    use outlayer_guest::{Code, Execution, Job};
    use outlayer_protocol::Status;

    use super::*;
    use crate::serve::tests::{config, config_of_this_build};

    #[tokio::test]
    async fn an_execution_whose_request_is_over_gives_its_room_back() {
        let node = FakeNode::start(|method, _| panic!("unexpected {method}")).await;
        let services = Services::new(config(&node)).unwrap();
        let all = services.answers.available_permits();
        for (live, kept_for) in [(vec![], LAGGING), (vec![7], KEPT_FOR)] {
            let view = request_view(&config_of_this_build(), 7, "");
            let code = Code::hashed(view.request.code.hash, &[]);
            let job = Job::of_live(code, &view.request, &view.input);
            let execution = Execution::without_running(&job, Status::Completed);
            let response = execution.into_response(7);
            let executed = Executed::answer(&services, &view.request, response).await;
            let (digest, salt) = (executed.digest, [0; 16]);
            let mine = Mine { round: 0, digest, salt, with_body: true, agreed_since: None };
            services.keep_execution(7, (executed, mine));
            let live: HashSet<_> = live.into_iter().collect();
            let second = Duration::from_secs(1);
            services.forget_executions(&live, Instant::now() + kept_for - second);
            assert!(services.answers.available_permits() < all, "{live:?}");
            services.forget_executions(&live, Instant::now() + kept_for + second);
            assert_eq!(services.answers.available_permits(), all, "{live:?}");
        }
    }

    #[tokio::test]
    async fn what_must_be_final_is_not_begun_before_a_final_block_has_it() {
        let mut state = Chain::new(config_of_this_build());
        state.ask(7, b"code");
        let (is_final, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (shown, counted) = (Arc::clone(&is_final), Arc::clone(&asked));
        let chain = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&chain);
        let node = FakeNode::start(move |method, params| {
            let mut chain = shared.lock().unwrap();
            if params["finality"] != "final" || shown.load(Ordering::SeqCst) {
                return chain.answer(method, params);
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let live = std::mem::take(&mut chain.live);
            let answer = chain.answer(method, params);
            chain.live = live;
            answer
        })
        .await;
        let services = Arc::new(Services::new(config(&node)).unwrap());
        services.publish(Arc::new(Look::without_requests(100, 98)));
        let waiting = Arc::clone(&services);
        let found = tokio::spawn(async move { waiting.once_final(7).await.unwrap() });
        let next_looks = async |until: usize| {
            while asked.load(Ordering::SeqCst) < until && !found.is_finished() {
                services.publish(Arc::new(Look::without_requests(100, 98)));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        next_looks(3).await;
        assert!(!found.is_finished(), "no final block has it");
        is_final.store(true, Ordering::SeqCst);
        next_looks(usize::MAX).await;
        assert!(found.await.unwrap().is_some());
        // The newest block does not have it any more, and so no final one will.
        is_final.store(false, Ordering::SeqCst);
        chain.lock().unwrap().live.clear();
        assert!(services.once_final(7).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_final_block_from_before_a_request_does_not_say_that_it_is_over() {
        let mut state = Chain::new(config_of_this_build());
        state.height = 120;
        let (node, chain) = state.start().await;
        let services = Services::new(config(&node)).unwrap();
        let is_over = async |since| services.is_over_finally(7, since).await.unwrap();
        // Nobody has looked: the node is asked for its newest final block, which is 120.
        assert!(!is_over(121).await);
        assert!(is_over(120).await);
        services.publish(Arc::new(Look::without_requests(125, 118)));
        assert!(is_over(118).await);
        let asked = node.called("block");
        assert!(!is_over(121).await, "block 118 does not have it yet");
        assert_eq!(node.called("block"), asked + 1);
        chain.lock().unwrap().height = 121;
        assert!(is_over(121).await);
    }
}
