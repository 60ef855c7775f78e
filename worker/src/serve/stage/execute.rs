//! The execution pool: a bound on how many guests run at once. When a place is free, the schedule
//! says which of the waiting requests has it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use outlayer_client::{At, Contract, NamespaceReader};
use outlayer_fetch::{Session, Web};
use outlayer_guest::{
    Code, Connected, Engines, Execution, Fault, Fetch, FetchError, Fetched, Job, Outgoing, Secrets,
    SnapshotError,
};
use outlayer_protocol::{AccountId, RequestId, views::RequestView};
use tokio::{runtime::Handle, sync::oneshot};

use super::super::{
    error::ExecutionError,
    schedule::{ChainTime, Next, Waiting, WaitingList},
};

/// Executes at most so many requests at once; others wait.
pub(crate) struct ExecutionPool {
    engines: Engines,
    web: Web,
    queue: Arc<Queue>,
}

/// The places, and who waits for one.
struct Queue {
    state: Mutex<State>,
}

struct State {
    places: usize,
    /// Less than none are free while executions that waited for a server go on.
    free: isize,
    /// How many executions wait for a server.
    waiting: usize,
    list: WaitingList,
    grants: HashMap<RequestId, oneshot::Sender<Grant>>,
    time: ChainTime,
}

impl State {
    fn is_idle(&self) -> bool {
        self.free == of(self.places) && self.waiting == 0 && self.grants.is_empty()
    }
}

/// A number of places, as the free ones are counted.
fn of(places: usize) -> isize {
    isize::try_from(places).unwrap_or(isize::MAX)
}

/// The network of an execution, which lends its place to others while it waits for a server. There
/// are at most [`MOST_WAITING`] times as many executions as there are places: each has a process
/// and its memory.
struct Lending<'a> {
    session: Session,
    place: &'a ExecutionPlace,
}

/// How many executions may wait for a server, for each place.
const MOST_WAITING: usize = 8;

impl Fetch for Lending<'_> {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let _lent = Lent::of(&self.place.queue);
        self.session.fetch(outgoing)
    }
}

/// A place that is lent, until this is dropped. It is taken back even when no other is free then.
struct Lent<'a>(Option<&'a Arc<Queue>>);

impl<'a> Lent<'a> {
    fn of(queue: &'a Arc<Queue>) -> Self {
        let mut state = queue.state();
        if state.waiting >= state.places.saturating_mul(MOST_WAITING) {
            return Self(None);
        }
        state.waiting += 1;
        state.free += 1;
        drop(state);
        queue.fill();
        Self(Some(queue))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(queue) = self.0 {
            let mut state = queue.state();
            state.waiting = state.waiting.saturating_sub(1);
            state.free -= 1;
        }
    }
}

enum Grant {
    Place(ExecutionPlace),
    TooLate,
}

/// A place in the pool, until it is dropped.
pub(crate) struct ExecutionPlace {
    queue: Arc<Queue>,
    /// Whose request it is for; `None` where it is for nobody's.
    payer: Option<AccountId>,
    charged: u64,
    began: Instant,
}

impl Drop for ExecutionPlace {
    fn drop(&mut self) {
        let took = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.queue.state();
        if let Some(payer) = &self.payer {
            state.list.correct(payer, self.charged, took);
        }
        state.free = state.free.saturating_add(1);
        drop(state);
        self.queue.fill();
    }
}

impl ExecutionPlace {
    /// Says whether another execution is under way or waits, whenever it is asked.
    pub(crate) fn is_wanted(&self) -> impl Fn() -> bool + Send + 'static {
        let queue = Arc::clone(&self.queue);
        move || {
            let state = queue.state();
            state.free.saturating_add(1) < of(state.places) || !state.grants.is_empty()
        }
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free places to those that come next.
    fn fill(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            if state.free <= 0 {
                return;
            }
            let now = state.time;
            let (grant, request_id) = match state.list.next(now) {
                None => return,
                Some(Next::TooLate(late)) => (Grant::TooLate, late.request_id),
                Some(Next::Take(taken)) => {
                    state.free -= 1;
                    let place = ExecutionPlace {
                        queue: Arc::clone(self),
                        payer: Some(taken.payer),
                        charged: taken.nanos,
                        began: Instant::now(),
                    };
                    (Grant::Place(place), taken.request_id)
                }
            };
            let waiter = state.grants.remove(&request_id);
            drop(state);
            // A place that nobody takes is dropped here, and so is free again.
            if let Some(waiter) = waiter {
                let _ = waiter.send(grant);
            }
        }
    }
}

/// Leaves the queue when whoever waits is broken off.
struct Leaving<'a>(&'a Queue, RequestId);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.list.remove(self.1);
        state.grants.remove(&self.1);
    }
}

impl ExecutionPool {
    /// A pool that executes at most `concurrency` requests at once, and at least one.
    pub(crate) fn new(engines: Engines, concurrency: usize, web: Web) -> Self {
        let state = State {
            places: concurrency.max(1),
            free: of(concurrency.max(1)),
            waiting: 0,
            list: WaitingList::default(),
            grants: HashMap::new(),
            time: ChainTime { height: 0, block_nanos: 1 },
        };
        Self { engines, web, queue: Arc::new(Queue { state: Mutex::new(state) }) }
    }

    /// Tells the pool the chain's time. Those that can no longer be answered are told so.
    pub(crate) fn at(&self, time: ChainTime) {
        self.queue.state().time = time;
        self.queue.fill();
    }

    /// Whether nothing is executed or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.state().is_idle()
    }

    /// A place, if nothing is executed or waits.
    pub(crate) fn idle_place(&self) -> Option<ExecutionPlace> {
        let mut state = self.queue.state();
        if !state.is_idle() {
            return None;
        }
        state.free -= 1;
        drop(state);
        let queue = Arc::clone(&self.queue);
        Some(ExecutionPlace { queue, payer: None, charged: 0, began: Instant::now() })
    }

    /// Waits for a place. `None` means that the request can no longer be answered in time.
    pub(crate) async fn place(&self, waiting: Waiting) -> Option<ExecutionPlace> {
        let request_id = waiting.request_id;
        let (grant, granted) = oneshot::channel();
        {
            let mut state = self.queue.state();
            state.grants.insert(request_id, grant);
            state.list.add(waiting);
        }
        let _leaving = Leaving(&self.queue, request_id);
        self.queue.fill();
        match granted.await {
            Ok(Grant::Place(place)) => Some(place),
            Ok(Grant::TooLate) | Err(_) => None,
        }
    }

    /// Executes the request of `view` with the engine that it pins and with `code`, whose hash the
    /// caller has checked. The guest is given the secrets, and sees the requester's namespace as it
    /// stood after the block `at`. Its process is ended soon after `is_over` says so, during an
    /// exchange over HTTP too.
    ///
    /// # Errors
    /// [`ExecutionError`] when there is no verdict; the place is free then.
    pub(crate) async fn execute(
        &self,
        place: ExecutionPlace,
        contract: &Contract,
        view: &RequestView,
        code: Arc<Vec<u8>>,
        secrets: Option<&Secrets>,
        (at, is_over): (At, impl Fn() -> bool + Send + Sync + 'static),
    ) -> Result<(Execution, ExecutionPlace), ExecutionError> {
        let engine = Arc::clone(self.engines.of(&view.request)?);
        view.check(contract.id())?;
        let view = view.clone();
        let secrets = secrets.map_or_else(Vec::new, |secrets| secrets.variables().to_vec());
        let storage = NamespaceReader::new(contract.clone(), view.request.namespace().clone(), at);
        let (web, contract_id) = (self.web.clone(), contract.id().clone());
        let runtime = Handle::current();
        let is_over = Arc::new(is_over);
        let run = move || -> Result<(Execution, ExecutionPlace), Fault> {
            let code = Code::hashed(view.request.code.hash, &code);
            let job = Job { secrets: &secrets, ..Job::of_live(code, &view.request, &view.input) };
            let mut storage =
                |key: &[u8]| storage.read(key).map_err(|error| SnapshotError(error.to_string()));
            let execution = match job.http {
                None => engine.execute_until(&job, &mut storage, &*is_over)?,
                Some(http) => {
                    let session = web.session(contract_id, http, runtime);
                    let session = session.until(Arc::clone(&is_over) as _);
                    let network = Lending { session, place: &place };
                    let mut outside = Connected { snapshot: storage, network };
                    engine.execute_until(&job, &mut outside, &*is_over)?
                }
            };
            Ok((execution, place))
        };
        // A panic of the engine ends this execution only.
        Ok(tokio::task::spawn_blocking(run).await??)
    }
}
