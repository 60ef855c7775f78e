//! The handle of a running node, with which tests control it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use near_primitives::{
    hash::CryptoHash,
    types::{BlockHeight, BlockHeightDelta},
};
use tempfile::TempDir;

use crate::{
    chain::Chain,
    home::Home,
    node::{Node, NodeError, Producer, RpcFaults, TransactionFault},
    rpc::ServerThread,
};

/// A running node. It ends when this is dropped.
pub struct Handle {
    node: Arc<Node>,
    home: Home,
    server_addr: SocketAddr,
    producer: Option<Producer>,
    server: Option<ServerThread>,
    _temporary: Option<TempDir>,
}

impl Handle {
    /// The handle of a node that has been started. `temporary` is its home directory, when that is
    /// to be removed with the node.
    pub(crate) fn new(
        node: Arc<Node>,
        home: Home,
        producer: Producer,
        server: ServerThread,
        temporary: Option<TempDir>,
    ) -> Self {
        Self {
            node,
            home,
            server_addr: server.addr(),
            producer: Some(producer),
            server: Some(server),
            _temporary: temporary,
        }
    }

    /// The URL of the RPC.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.server_addr)
    }

    /// The home directory, which has the `validator_key.json` that near-workspaces needs:
    /// `near_workspaces::sandbox().rpc_addr(..).validator_key(ValidatorKey::HomeDir(..))`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The node itself.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The height of the newest block.
    pub fn height(&self) -> BlockHeight {
        self.node.chain().head().height()
    }

    /// Produces a block and returns its height.
    pub fn produce_block(&self) -> Result<BlockHeight, NodeError> {
        self.node.produce_block()
    }

    /// Produces `count` blocks and returns the height of the last one.
    pub fn produce_blocks(&self, count: u64) -> Result<BlockHeight, NodeError> {
        let mut height = self.height();
        for _ in 0..count {
            height = self.produce_block()?;
        }
        Ok(height)
    }

    /// Produces blocks until there is nothing left to execute and everything that was executed is
    /// final. Returns the height of the last block.
    pub fn settle(&self) -> Result<BlockHeight, NodeError> {
        self.node.settle()
    }

    /// Skips `delta` heights, as `sandbox_fast_forward` does. Returns the height of the head
    /// afterwards.
    pub fn fast_forward(&self, delta: BlockHeightDelta) -> Result<BlockHeight, NodeError> {
        self.node.fast_forward(delta)
    }

    /// Changes the time between two blocks of a node that makes them by a timer.
    pub fn set_block_time(&self, block_time: Duration) {
        self.node.set_block_time(block_time);
    }

    /// Moves the chain's time forward, from the next block on.
    pub fn advance_time(&self, by: Duration) {
        self.node.advance_time(by);
    }

    /// A snapshot of the whole chain, for [`Handle::restore`].
    pub fn snapshot(&self) -> Chain {
        self.node.snapshot()
    }

    /// Goes back to a snapshot.
    pub fn restore(&self, snapshot: Chain) {
        self.node.restore(snapshot);
    }

    /// Injects a fault into the next transaction that the node accepts. When this is called several
    /// times, the faults queue up, one for each transaction.
    pub fn next_transaction(&self, fault: TransactionFault) {
        self.node.faults().next_transaction(fault);
    }

    /// How many faults of [`Handle::next_transaction`] have not met a transaction yet.
    pub fn faults_to_come(&self) -> usize {
        self.node.faults().waiting()
    }

    /// Makes RPC requests fail from now on. `None` ends that.
    pub fn fail_rpc(&self, faults: Option<RpcFaults>) {
        self.node.faults().set_rpc(faults);
    }

    /// Removes the newest `depth` blocks, none of which may be final, as if a better fork had won.
    /// Their transactions go into the blocks that follow. Returns the hashes of the removed blocks,
    /// the newest first.
    pub fn reorg(&self, depth: usize) -> Result<Vec<CryptoHash>, NodeError> {
        self.node.reorg(depth)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Blocks stop first, then the server; the temporary directory is removed last.
        self.producer.take();
        self.server.take();
        // A request that is still running keeps the node alive. It must not keep the state
        // directory open.
        self.node.detach_store();
    }
}
