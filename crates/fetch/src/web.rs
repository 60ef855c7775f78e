//! What all executions of a program use of the network.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use outlayer_guest::Http;
use outlayer_protocol::AccountId;
use reqwest::{Certificate, Client, redirect};
use tokio::{runtime::Handle, sync::Semaphore};

use crate::{Guard, Session, probe::Probe};

/// The longest time that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// What every server is told that asks who is there.
const USER_AGENT: &str = "outlayer";

/// How guests reach the network.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// The most exchanges at once. Those that are one too many wait, and their request's time
    /// passes.
    pub places: usize,
    /// Whether this machine itself may be reached, as is fit for development only: a server on it
    /// takes a worker's exchanges for those of a program beside it.
    pub allow_loopback: bool,
    /// Certificates in PEM of authorities that are trusted besides those of the system.
    pub roots: Vec<Vec<u8>>,
    /// Hosts with ports that this machine reaches while its network works: the nodes that it asks
    /// of the chain. Without one no trouble is taken for its own.
    pub probes: Vec<String>,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self { places: 64, allow_loopback: false, roots: Vec::new(), probes: Vec::new() }
    }
}

/// A configuration that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// What is to be trusted is no certificate.
    #[error("the certificates of an authority cannot be read, expected PEM: {0}")]
    Certificate(#[source] reqwest::Error),
}

/// Makes exchanges. Clones are cheap and share connections and places.
#[derive(Clone)]
pub struct Web {
    /// It is made for the first exchange, because it reads the system's certificates. Most programs
    /// make none.
    client: Arc<OnceLock<Client>>,
    roots: Arc<Vec<Certificate>>,
    pub(crate) guard: Guard,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) probe: Probe,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Web {
    /// The network as `config` has it.
    ///
    /// # Errors
    /// [`WebError`].
    pub fn new(config: FetchConfig) -> Result<Self, WebError> {
        let guard = if config.allow_loopback {
            Guard::admitting(public_or_loopback)
        } else {
            Guard::new(false)
        };
        let mut roots = Vec::new();
        for pem in &config.roots {
            roots.extend(Certificate::from_pem_bundle(pem).map_err(WebError::Certificate)?);
        }
        Ok(Self {
            client: Arc::default(),
            roots: Arc::new(roots),
            guard,
            places: Arc::new(Semaphore::new(config.places.max(1))),
            probe: Probe::new(config.probes),
        })
    }

    /// The network of one execution, for a request of `contract_id` that says this of HTTP. It is
    /// used where blocking is permitted, and waits on `runtime`.
    pub fn session(&self, contract_id: AccountId, http: Http<'_>, runtime: Handle) -> Session {
        Session::new(self.clone(), contract_id, http.access.clone(), runtime)
    }

    pub(crate) fn client(&self) -> reqwest::Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // A proxy would resolve names by itself and connect to addresses that nobody has checked.
        // Redirects are the guest's to follow, in exchanges of their own.
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(self.guard));
        for root in &*self.roots {
            builder = builder.add_root_certificate(root.clone());
        }
        let client = builder.build()?;
        // When another thread was faster, its client is as good.
        Ok(self.client.get_or_init(|| client))
    }
}

fn public_or_loopback(ip: IpAddr) -> bool {
    ip.is_loopback() || crate::guard::is_public(ip)
}
