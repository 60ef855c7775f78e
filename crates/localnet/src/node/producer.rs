//! The thread that produces blocks.

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{Node, production::BlockProduction};

/// The stack size of the thread, which also runs contracts, in bytes. The VM has stacks of its own,
/// and the rest of the runtime recurses little.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The longest time that the thread sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// How long an idle node waits after the first sign of work, so that transactions that are sent
/// together get into the same block.
const GATHERING_TIME: Duration = Duration::from_millis(1);

/// How long the thread waits after a block that could not be produced.
const PAUSE_AFTER_FAULT: Duration = Duration::from_millis(600);

/// The thread that produces blocks. It ends when this is dropped.
pub(crate) struct Producer {
    node: Arc<Node>,
    thread: Option<JoinHandle<()>>,
}

impl Producer {
    /// Starts the thread, unless block production is manual.
    pub(crate) fn start(node: Arc<Node>) -> std::io::Result<Self> {
        let thread = match node.production {
            BlockProduction::Manual => None,
            _ => {
                let node = Arc::clone(&node);
                let builder = std::thread::Builder::new().name("blocks".to_owned());
                Some(builder.stack_size(STACK_BYTES).spawn(move || run(&node))?)
            }
        };
        Ok(Self { node, thread })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.node.signal.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn run(node: &Node) {
    let mut last = Instant::now();
    let mut idle = true;
    while !node.signal.is_stopped() {
        let due = match node.production {
            BlockProduction::Timer(_) => Some(node.period()),
            BlockProduction::Instant { heartbeat } => {
                if node.chain().has_work() {
                    Some(Duration::ZERO)
                } else {
                    heartbeat
                }
            }
            BlockProduction::Manual => return,
        };
        let pause = due.unwrap_or(LONGEST_SLEEP).saturating_sub(last.elapsed());
        if !pause.is_zero() {
            node.signal.wait(pause);
            idle = true;
            // There may be new work now. With a timer only the time counts.
            continue;
        }
        if std::mem::take(&mut idle) {
            std::thread::sleep(GATHERING_TIME);
        }
        last = Instant::now();
        let head = node.chain().head().height();
        let produced = node.produce_block_above(head);
        if matches!(produced, Ok(None)) {
            // The chain was being fast-forwarded, for example. The next block comes a whole period
            // after that, as it does on NEAR.
            last = Instant::now();
        }
        if let Err(error) = produced {
            // The content of that block is marked as invalid by now, so the next one may succeed.
            tracing::error!(%error, "a block could not be produced");
            node.signal.wait(PAUSE_AFTER_FAULT);
        }
    }
}
