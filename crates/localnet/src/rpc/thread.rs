//! The RPC server on threads of its own.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
};

use tokio::sync::oneshot;

use super::server::serve;
use crate::node::Node;

/// The number of threads that serve requests. Contracts run on other threads.
const WORKER_THREADS: usize = 2;

/// A running RPC server. It ends when this is dropped.
pub(crate) struct ServerThread {
    addr: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ServerThread {
    /// Starts a server on a listener.
    pub(crate) fn start(node: Arc<Node>, listener: TcpListener) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (shutdown, shut_down) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKER_THREADS)
            .thread_name("rpc")
            .enable_all()
            .build()?;
        let builder = std::thread::Builder::new().name("rpc-server".to_owned());
        let thread = builder.spawn(move || {
            if let Err(error) = runtime.block_on(run(node, listener, shut_down)) {
                tracing::error!(%error, "the RPC server has ended");
            }
            runtime.shutdown_background();
        })?;
        Ok(Self { addr, shutdown: Some(shutdown), thread: Some(thread) })
    }

    /// The address that the server listens on.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // The server may have ended by itself.
            let _ = shutdown.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

async fn run(
    node: Arc<Node>,
    listener: TcpListener,
    shut_down: oneshot::Receiver<()>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (done, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(node, listener, async {
        // An error means that the sender is gone, which ends the server as well.
        let _ = stopped.await;
    }));
    let _ = shut_down.await;
    drop(done);
    // Does not wait for clients that keep their connections open.
    server.abort();
    Ok(())
}
