//! Whether it is this machine's own network that fails.
//!
//! This is best effort. A host that does not answer while nothing else does either says nothing
//! about the host. So after an exchange to which no server answered, the machine tries to reach
//! what it reaches all the time. A network in which that is reached and the host is not, because it
//! is blocked, or because its name is answered wrongly, looks like a host that is down.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// How long all connections of the probe together may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Hosts that answer while this machine's network works.
#[derive(Clone, Debug)]
pub(crate) struct Probe(Arc<Vec<String>>);

impl Probe {
    pub(crate) fn new(hosts: Vec<String>) -> Self {
        Self(Arc::new(hosts))
    }

    /// Why the network is taken to fail: none of the hosts takes a connection. `None` when one
    /// does, or when there are none.
    pub(crate) async fn trouble(&self) -> Option<String> {
        let mut trouble = None;
        let until = Instant::now() + PATIENCE;
        for host in &*self.0 {
            trouble = match timeout_at(until, TcpStream::connect(host.as_str())).await {
                Ok(Ok(_)) => return None,
                Ok(Err(error)) => {
                    Some(format!("{host} does not take a connection either: {error}"))
                }
                Err(_) => {
                    Some(format!("{host} does not take a connection either, in {PATIENCE:?}"))
                }
            };
        }
        trouble
    }
}
