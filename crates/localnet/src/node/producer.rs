//! The thread that makes blocks.

use super::{BlockProduction, Node, lock};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The stack of the thread that runs contracts: the VM's own stacks are separate, the rest of the
/// engine recurses little.
const STACK: usize = 8 * 1024 * 1024;

/// How long the thread sleeps at most, so that it notices the end of the node.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// The thread that makes blocks. It ends when this is dropped.
pub(crate) struct Producer {
    node: Arc<Node>,
    thread: Option<JoinHandle<()>>,
}

impl Producer {
    /// Starts the thread, unless blocks are only made by hand.
    pub(crate) fn start(node: Arc<Node>) -> std::io::Result<Self> {
        let thread = match node.production {
            BlockProduction::ByHand => None,
            _ => {
                let node = Arc::clone(&node);
                let builder = std::thread::Builder::new().name("blocks".to_owned());
                Some(builder.stack_size(STACK).spawn(move || run(&node))?)
            }
        };
        Ok(Self { node, thread })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.node.stop();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported where it happened.
            let _ = thread.join();
        }
    }
}

/// How long an idle node waits after the first sign of work, so that what is sent at once gets into one
/// block.
const GATHER: Duration = Duration::from_millis(1);

/// How long the thread waits after a block that could not be made.
const AFTER_FAULT: Duration = Duration::from_millis(600);

fn run(node: &Node) {
    let mut last = Instant::now();
    let mut idle = true;
    while !node.is_stopped() {
        let due = match node.production {
            BlockProduction::Timer(period) => Some(period),
            BlockProduction::Instant { heartbeat } => {
                if node.chain().has_work() {
                    Some(Duration::ZERO)
                } else {
                    heartbeat
                }
            }
            BlockProduction::ByHand => return,
        };
        let elapsed = last.elapsed();
        let pause = due.unwrap_or(LONGEST_SLEEP).saturating_sub(elapsed);
        if !pause.is_zero() {
            sleep(node, pause);
            idle = true;
            // New work may have come; with a timer only the time counts.
            continue;
        }
        if std::mem::take(&mut idle) {
            std::thread::sleep(GATHER);
        }
        last = Instant::now();
        if let Err(error) = node.produce_block() {
            // What the block was meant to hold has been refused, so the next one may do better.
            tracing::error!(%error, "a block could not be made");
            sleep(node, AFTER_FAULT);
        }
    }
}

/// Sleeps for `pause` or until somebody adds work.
fn sleep(node: &Node, pause: Duration) {
    let mut work = lock(&node.work);
    if !*work {
        work = node.added.wait_timeout(work, pause).unwrap_or_else(PoisonError::into_inner).0;
    }
    *work = false;
}
