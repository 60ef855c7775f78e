//! A worker that is killed, or told to stop, at every point at which it waits.
//!
//! All futures of a worker pass through [`counted`] (see the module `task`). Each time that one of
//! them has to wait is a point at which the worker may be killed. A run kills the worker at the
//! n-th such point: nothing of it is polled any more, what it has handed to the operating system
//! still reaches the node, and its memory is gone. Then another worker is started. The runs count n
//! up from 1 until a worker is done before it has waited so often. So there is no list of points to
//! maintain. How often a future waits for an answer of the node depends on the machine's timing, so
//! one course may pass over a point that the next one meets. Where no course was ended after one of
//! the stages that are named, one more is ended at the first wait after it.
//!
//! Two of the three cases have every third point only. With `KILL_STRIDE=1` in the environment they
//! have every one.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use outlayer_client::testing::{Chain, FakeNode, SignedCall};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_guest::{Code, Job};
use outlayer_protocol::{ExecutionRecord, Hash32, agreement::Stage as Agreeing};
use tokio::{runtime, sync::Notify};

use super::{
    super::{Stage, Worker, WorkerConfig},
    READ, agreement, claims, config, config_of_this_build, hello, observer, said_hi, settled,
};

/// How long after a worker's end its connections still write what it has handed to them. What they
/// have not written by then is lost with them.
const FLUSH: Duration = Duration::from_millis(4);
/// The longest life of a worker.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many runs go on at the same time: most of a run's time is waiting.
const AT_ONCE: usize = 6;

thread_local! {
    /// How often the futures of the worker on this thread have waited.
    static WAITS: RefCell<Option<Waits>> = const { RefCell::new(None) };
}

struct Waits {
    count: usize,
    /// At which wait the worker's end comes.
    end: Option<(End, Point)>,
    /// What the worker has told.
    told: Arc<Mutex<Vec<Stage>>>,
    /// Is told when it comes.
    ending: Arc<Notify>,
    is_dead: bool,
}

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is killed.
    Killed,
    /// It is told to stop, and has the time of its configuration to do so.
    Stopped,
}

/// One of the points at which a worker waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The n-th.
    Wait(usize),
    /// The first when this was told last.
    After(&'static str),
}

/// Counts how often a future of the worker has to wait. Without [`WAITS`] on the thread it does
/// nothing.
pub(crate) fn counted<F: Future>(future: F) -> Counted<F> {
    Counted(Box::pin(future))
}

pub(crate) struct Counted<F>(Pin<Box<F>>);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let is_dead = WAITS.with_borrow(|waits| waits.as_ref().is_some_and(|one| one.is_dead));
        if is_dead {
            return Poll::Pending;
        }
        let polled = self.0.as_mut().poll(context);
        if polled.is_pending() {
            WAITS.with_borrow_mut(|waits| waits.as_mut().map(Waits::wait));
        }
        polled
    }
}

impl Waits {
    fn wait(&mut self) {
        self.count += 1;
        let Some((end, point)) = self.end else { return };
        let is_here = match point {
            Point::Wait(at) => self.count == at,
            Point::After(stage) => last(&self.told) == stage,
        };
        if is_here {
            self.end = None;
            self.is_dead = end == End::Killed;
            self.ending.notify_one();
        }
    }
}

/// What a worker is to do, and what others do meanwhile.
struct Case {
    name: &'static str,
    chain: Box<dyn Fn() -> Chain + Send + Sync>,
    /// Is called again and again while a worker lives.
    others: Box<dyn Fn(&mut Chain) + Send + Sync>,
    /// What is told of the requests on the way to their settlement.
    stages: &'static [&'static str],
}

const ALONE: &[&str] = &["nothing", "discovered", "loaded", "submitting", "submitted"];

fn name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Discovered { .. } => "discovered",
        Stage::Loaded { .. } => "loaded",
        Stage::Fetched { .. } => "fetched",
        Stage::Claimed { .. } => "claimed",
        Stage::Executing { .. } => "executing",
        Stage::Executed { .. } => "executed",
        Stage::Submitting { .. } => "submitting",
        Stage::Committed { .. } => "committed",
        Stage::Submitted { .. } => "submitted",
        Stage::Settled { .. } => "settled",
        _ => "something else",
    }
}

/// What was told last.
fn last(told: &Mutex<Vec<Stage>>) -> &'static str {
    told.lock().unwrap().last().map_or("nothing", name)
}

/// How the life of a worker went.
struct Life {
    /// Whether its end came as planned; otherwise everything was settled before.
    ended: bool,
    /// What was told last before its end.
    last: &'static str,
    told: Vec<Stage>,
}

/// A worker serves until its end comes, or until nothing is left to do. When this returns, what it
/// had sent has taken effect.
fn live(
    mut config: WorkerConfig,
    end: Option<(End, Point)>,
    (node, nodes): (&FakeNode, &runtime::Handle),
    chain: &Arc<Mutex<Chain>>,
    others: &dyn Fn(&mut Chain),
) -> Life {
    let told: Arc<Mutex<Vec<Stage>>> = Arc::default();
    config.observer = Some(observer(&told, chain));
    let (ending, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (telling, notified) = (Arc::clone(&told), Arc::clone(&ending));
    let waits = Waits { count: 0, end, told: telling, ending: notified, is_dead: false };
    WAITS.set(Some(waits));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ended, last) = runtime.block_on(async {
        let worker = Worker::new(config).unwrap();
        let mut running = pin!(counted(worker.run(stop.notified())));
        let all_is_settled = async {
            loop {
                {
                    let chain = &mut chain.lock().unwrap();
                    others(chain);
                    if chain.live.is_empty() {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let ended = tokio::select! {
            biased;
            () = ending.notified() => true,
            () = all_is_settled => false,
            _ = &mut running => panic!("the worker stopped by itself"),
            () = tokio::time::sleep(PATIENCE) => panic!("not settled within {PATIENCE:?}"),
        };
        let last = last(&told);
        if ended && end.is_some_and(|(end, _)| end == End::Killed) {
            tokio::time::sleep(FLUSH).await;
            return (true, last);
        }
        // From here on no end comes any more.
        WAITS.with_borrow_mut(|waits| waits.as_mut().map(|waits| waits.end.take()));
        stop.notify_one();
        let stopped = tokio::time::timeout(PATIENCE, running).await;
        stopped.expect("the worker does not stop");
        (ended, last)
    });
    runtime.shutdown_background();
    nodes.block_on(node.quiet());
    WAITS.set(None);
    let told = std::mem::take(&mut *told.lock().unwrap());
    Life { ended, last, told }
}

/// Nothing that the chain had executed was signed again.
fn check_signed(signed: &[SignedCall], point: &str) {
    for (index, later) in signed.iter().enumerate() {
        let same = |one: &&SignedCall| one.method == later.method && one.args == later.args;
        let before = signed[..index].iter().filter(same);
        for earlier in before {
            assert!(
                earlier.is_void,
                "{point}: {} was signed again as {}, but {} was executed",
                later.method, later.hash, earlier.hash
            );
        }
    }
}

/// Runs the case with the end at this point. Returns how the first life went.
fn run(case: &Case, end: (End, Point), nodes: &runtime::Handle, engine: &WorkerConfig) -> Life {
    let mut chain = (case.chain)();
    chain.looks = 1;
    let (node, chain) = nodes.block_on(chain.start());
    let requests: Vec<_> = chain.lock().unwrap().live.keys().copied().collect();
    let folder = tempfile::tempdir().unwrap();
    let mut config = WorkerConfig { node: node.config(), ..engine.clone() };
    config.state_dir = Some(folder.path().join("state"));
    config.code.cache_dir = Some(folder.path().join("code"));
    let place = (&node, nodes);
    let first = live(config.clone(), Some(end), place, &chain, &case.others);
    let point = format!("{}, {:?} at {:?}, after {}", case.name, end.0, end.1, first.last);
    let second = live(config, None, place, &chain, &case.others);
    let chain = chain.lock().unwrap();
    let expected: Vec<_> = requests.into_iter().map(|id| (id, said_hi())).collect();
    assert_eq!(settled(&chain), expected, "{point}");
    assert_eq!(chain.refused, [""; 0], "{point}: {:?}", chain.calls);
    check_signed(&chain.signed, &point);
    let failed = second.told.iter().find(|stage| matches!(stage, Stage::Failed { .. }));
    assert_eq!(failed, None, "{point}");
    first
}

/// Ends the worker at its first wait, and at every `stride`-th after it, until it is done before.
fn at_every_wait(case: &Case, end: End, stride: usize) {
    let nodes =
        runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let engine = nodes.block_on(async {
        let (node, _) = Chain::new(config_of_this_build()).start().await;
        config(&node)
    });
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let ends: Mutex<BTreeMap<&'static str, usize>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let at = Point::Wait(1 + stride * next.fetch_add(1, Ordering::Relaxed));
                    let first = run(case, (end, at), nodes.handle(), &engine);
                    if first.ended {
                        *ends.lock().unwrap().entry(first.last).or_default() += 1;
                    } else {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut ends = ends.into_inner().unwrap();
    for stage in case.stages.iter().filter(|_| end == End::Killed) {
        // The machine's timing decides after which stages the n-th wait is.
        if !ends.contains_key(stage) {
            let first = run(case, (end, Point::After(stage)), nodes.handle(), &engine);
            assert!(first.ended, "{}: it does not wait after {stage}: {ends:?}", case.name);
            ends.insert(stage, 1);
        }
    }
    println!("{}: {end:?} at {} points: {ends:?}", case.name, ends.values().sum::<usize>());
}

fn nobody(_: &mut Chain) {}

/// Requests that one worker answers, one of which reads storage.
fn alone() -> Case {
    let chain = || {
        let mut chain = Chain::new(config_of_this_build());
        chain.storage.insert(b"k".to_vec(), b"hi".to_vec());
        chain.ask(7, &wat::parse_str(READ).unwrap());
        chain.ask(8, &hello());
        chain.ask(9, &hello());
        chain
    };
    Case { name: "alone", chain: Box::new(chain), others: Box::new(nobody), stages: ALONE }
}

/// A request that takes long, and is claimed.
fn claimed() -> Case {
    let chain = || {
        let mut chain = claims::two_workers();
        chain.ask_long(claims::ids(true).next().unwrap(), &hello());
        chain
    };
    let stages = &["nothing", "loaded", "fetched", "submitted"];
    Case { name: "claimed", chain: Box::new(chain), others: Box::new(nobody), stages }
}

/// The digest of what the request on which workers must agree gives.
fn truth(chain: &Chain) -> Hash32 {
    let view = &chain.live[&agreement::ID];
    let code = hello();
    let job = Job::of_live(Code::of(&code), &view.request, &view.input);
    let engine = Executor::new(ExecutorConfig::default()).unwrap();
    let mut storage = |_: &[u8]| Ok(None);
    let response = engine.execute(&job, &mut storage).unwrap().into_response(agreement::ID);
    ExecutionRecord::new(&view.request, &response).digest()
}

/// A request on which two workers must agree. The test plays the other one.
fn agreed() -> Case {
    let chain = || agreement::several((2, 2), &hello(), &[super::WORKER, agreement::A]);
    let truth = truth(&chain());
    let others = move |chain: &mut Chain| {
        let Some(agreed) = agreement::agreement(chain) else {
            return;
        };
        let other = agreement::A.parse().unwrap();
        match agreed.vote_of(&other) {
            None if agreement::votes(chain) == 1 => agreement::commit(chain, agreement::A, truth),
            Some(vote)
                if vote.digest.is_none() && agreed.stage(chain.height) == Agreeing::Revealing =>
            {
                agreement::reveal(chain, agreement::A, truth);
            }
            _ => {}
        }
    };
    let stages = &["nothing", "loaded", "executed", "committed"];
    Case { name: "agreed", chain: Box::new(chain), others: Box::new(others), stages }
}

/// The stride that the environment names, or else this one.
fn stride(otherwise: usize) -> usize {
    std::env::var("KILL_STRIDE").ok().and_then(|stride| stride.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn killed_wherever_it_waits_a_worker_loses_nothing_and_signs_nothing_twice() {
    let stride = stride(3);
    at_every_wait(&alone(), End::Killed, 1);
    at_every_wait(&claimed(), End::Killed, stride);
    at_every_wait(&agreed(), End::Killed, stride);
}

#[test]
fn told_to_stop_wherever_it_waits_a_worker_stops_in_time_and_loses_nothing() {
    let stride = stride(7);
    at_every_wait(&alone(), End::Stopped, stride);
    at_every_wait(&claimed(), End::Stopped, stride);
    at_every_wait(&agreed(), End::Stopped, stride);
}
