//! When a node in this process makes its blocks: at a pace that a test sets, and where the test
//! wants it, no faster than the machine lets its workers follow.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use outlayer_localnet::node::Node;
use outlayer_protocol::RequestId;
use outlayer_worker::{Observer, Stage};

/// How often it is looked whether the next block is due.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A block that waits for workers takes as long as so many questions to the node, or longer.
const QUESTIONS: u32 = 40;
/// A block that waits for workers takes at most so many times the block time.
const SLOWEST: u32 = 20;
/// Blocks wait for no single request longer than this.
const LONGEST: Duration = Duration::from_secs(120);

/// The requests that a worker is loading or executing, and since when.
type Busy = HashMap<RequestId, Instant>;

/// Makes a node's blocks until it is dropped, one each time that the block time has passed.
pub struct Pace(Arc<Shared>);

struct Shared {
    node: Arc<Node>,
    /// Whether only those blocks are made that the node itself does not make.
    is_heartbeat: bool,
    /// The block time, nanoseconds.
    nanos: AtomicU64,
    waits: AtomicBool,
    /// Of each worker that serves.
    busy: Mutex<HashMap<u64, Busy>>,
    next_worker: AtomicU64,
}

impl Pace {
    /// Begins. The node must make no blocks of its own.
    pub fn start(node: Arc<Node>, block_time: Duration) -> Self {
        Self::begin(node, false, block_time)
    }

    /// The same for a node that makes blocks while there is work: a block comes only when there was
    /// none for so long.
    pub fn heartbeat(node: Arc<Node>, block_time: Duration) -> Self {
        Self::begin(node, true, block_time)
    }

    fn begin(node: Arc<Node>, is_heartbeat: bool, block_time: Duration) -> Self {
        let shared = Arc::new(Shared {
            node,
            is_heartbeat,
            nanos: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            busy: Mutex::default(),
            next_worker: AtomicU64::new(0),
        });
        let (pace, shared) = (Self(Arc::clone(&shared)), Arc::downgrade(&shared));
        pace.set(block_time);
        thread::spawn(move || {
            let (mut last, mut pause, mut height) = (Instant::now(), Duration::ZERO, 0);
            while let Some(shared) = shared.upgrade() {
                let head = shared.node.chain().head().height();
                if shared.is_heartbeat && head != height {
                    (last, height) = (Instant::now(), head);
                }
                if last.elapsed() >= shared.block_time().max(pause) && !shared.is_busy() {
                    pause = shared.pause();
                    if let Err(error) = shared.node.produce_block() {
                        eprintln!("a block could not be produced: {error}");
                    }
                    last = Instant::now();
                }
                drop(shared);
                thread::sleep(LOOK_EVERY);
            }
        });
        pace
    }

    /// Sets the time between two blocks, which counts at once.
    pub fn set(&self, block_time: Duration) {
        let nanos = block_time.as_nanos().try_into().unwrap_or(u64::MAX);
        self.0.nanos.store(nanos, Ordering::Relaxed);
    }

    /// From now on blocks wait for workers: none comes while one of them loads or executes a
    /// request, and they come more slowly where the node answers slowly. So what happens within a
    /// number of blocks does not depend on how busy the machine is.
    pub fn wait_for_workers(&self) {
        self.0.waits.store(true, Ordering::Relaxed);
    }

    /// What a worker is to tell its stages, so that blocks can wait for it, and what says that it
    /// has ended when it is dropped. `observer` is told everything, too.
    pub(crate) fn listen(&self, observer: Option<Observer>) -> (Observer, Listening) {
        let worker = self.0.next_worker.fetch_add(1, Ordering::Relaxed);
        self.0.busy().insert(worker, Busy::new());
        let listening = Listening { shared: Arc::clone(&self.0), worker };
        let shared = Arc::downgrade(&self.0);
        let observer: Observer = Arc::new(move |stage| {
            if let Some(shared) = shared.upgrade() {
                shared.told(worker, stage);
            }
            if let Some(observer) = &observer {
                observer(stage);
            }
        });
        (observer, listening)
    }

    /// Blocks wait for a request that the test itself executes, until this is dropped.
    pub(crate) fn hold(&self, request_id: RequestId) -> Listening {
        let worker = self.0.next_worker.fetch_add(1, Ordering::Relaxed);
        self.0.busy().insert(worker, Busy::from([(request_id, Instant::now())]));
        Listening { shared: Arc::clone(&self.0), worker }
    }
}

/// A worker for which blocks wait, until this is dropped.
pub(crate) struct Listening {
    shared: Arc<Shared>,
    worker: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.busy().remove(&self.worker);
    }
}

impl Shared {
    fn block_time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<u64, Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, worker: u64, stage: &Stage) {
        let mut busy = self.busy();
        // Who has ended is not waited for.
        let Some(requests) = busy.get_mut(&worker) else { return };
        match stage {
            // To load a record and to execute, no block is needed.
            Stage::Discovered { request_id } | Stage::Executing { request_id } => {
                requests.insert(*request_id, Instant::now());
            }
            // What comes next may wait for blocks; or it is over.
            Stage::Loaded { request_id }
            | Stage::Executed { request_id, .. }
            | Stage::TooLate { request_id }
            | Stage::Left { request_id }
            | Stage::Settled { request_id }
            | Stage::Failed { request_id, .. } => {
                requests.remove(request_id);
            }
            _ => {}
        }
    }

    fn is_busy(&self) -> bool {
        let is_waited_for = |since: &Instant| since.elapsed() < LONGEST;
        self.waits.load(Ordering::Relaxed)
            && self.busy().values().flat_map(HashMap::values).any(is_waited_for)
    }

    /// The least time until the next block, where blocks wait for workers.
    fn pause(&self) -> Duration {
        if !self.waits.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let began = Instant::now();
        // An answer that does not come says as much.
        let _ = ask(&self.node.rpc_addr());
        let most = self.block_time().saturating_mul(SLOWEST);
        began.elapsed().saturating_mul(QUESTIONS).min(most)
    }
}

/// Asks the node how it is.
fn ask(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /status HTTP/1.1\r\nhost: l\r\nconnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}
