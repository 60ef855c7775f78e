//! The network of one execution.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use outlayer_guest::{Fetch, FetchError, Fetched, Outgoing, http::kept};
use outlayer_protocol::{
    AccountId, Bytes, Hash32, HttpAccess,
    http::{ExchangeError, HttpResponse, MAX_FETCHED_BYTES, Url},
};
use reqwest::Method;
use tokio::{runtime::Handle, time::timeout_at};

use crate::{Web, failure};

/// How often it is asked, during an exchange, whether the execution is over.
const GLANCE: Duration = Duration::from_millis(100);

/// Says whether nobody has a use for an execution any more.
type IsOver = Arc<dyn Fn() -> bool + Send + Sync>;

/// The exchanges of one execution, within the time that its request gives them together.
pub struct Session {
    web: Web,
    contract_id: AccountId,
    access: HttpAccess,
    /// What is left of the time.
    left: Duration,
    runtime: Handle,
    is_over: Option<IsOver>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("access", &self.access)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(
        web: Web,
        contract_id: AccountId,
        access: HttpAccess,
        runtime: Handle,
    ) -> Self {
        let left = Duration::from_millis(access.max_ms.into());
        Self { web, contract_id, access, left, runtime, is_over: None }
    }

    /// An exchange is broken off soon after `is_over` says so.
    #[must_use]
    pub fn until(self, is_over: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        Self { is_over: Some(is_over), ..self }
    }

    /// Waits until the execution is over.
    async fn over(&self) {
        let Some(is_over) = &self.is_over else { return std::future::pending().await };
        while !is_over() {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// A name for the exchange that is the same for every worker and every attempt, for servers
    /// that do a thing only once.
    fn idempotency_key(&self, outgoing: &Outgoing<'_>) -> Hash32 {
        let (id, number) = (outgoing.request_id.to_le_bytes(), outgoing.number.to_le_bytes());
        Hash32::of(&[self.contract_id.as_bytes(), &[0], &id, &number].concat())
    }

    /// How long this exchange is waited for: half of what is left, so that one server that does not
    /// answer leaves time for others, and all of it where no other exchange may follow.
    fn patience(&self, number: u32) -> Duration {
        if number.saturating_add(1) >= self.access.max_exchanges {
            self.left
        } else {
            self.left / 2
        }
    }

    async fn exchange(
        &self,
        outgoing: &Outgoing<'_>,
    ) -> Result<Result<HttpResponse, ExchangeError>, FetchError> {
        let until = tokio::time::Instant::now() + self.patience(outgoing.number);
        // A place that does not come in time is this machine's trouble, and not the server's.
        let Ok(_place) = timeout_at(until, self.web.places.acquire()).await else {
            return Err(FetchError::Network("too many exchanges are under way".to_owned()));
        };
        Ok(timeout_at(until, self.send(outgoing)).await.unwrap_or(Err(ExchangeError::TimedOut)))
    }

    async fn send(&self, outgoing: &Outgoing<'_>) -> Result<HttpResponse, ExchangeError> {
        let request = outgoing.request;
        let failed = |error: reqwest::Error| {
            let found = failure::of(&error);
            let causes = error.without_url();
            // A URL may hold a secret.
            let url = Url::parse(&request.url);
            let host = url.as_ref().map_or("none", |url| url.host);
            tracing::debug!(host, error = ?causes, "an exchange has no answer");
            found
        };
        // The executor has checked all this; a process that a guest has taken over has not.
        let allowed = Url::parse(&request.url).is_ok_and(|url| self.access.reaches(&url))
            && self.access.allows(&request.method);
        let method = Method::from_bytes(request.method.as_bytes()).ok().filter(|_| allowed);
        let method = method.ok_or(ExchangeError::PrivateAddress)?;
        let url = reqwest::Url::parse(&request.url).map_err(|_| ExchangeError::Unresolved)?;
        self.web.guard.check(&url).map_err(|_| ExchangeError::PrivateAddress)?;
        let mut builder = self.web.client().map_err(failed)?.request(method, url);
        for (name, value) in &request.headers {
            builder = builder.header(name, &**value);
        }
        builder = builder.header("idempotency-key", self.idempotency_key(outgoing).to_string());
        if !request.body.is_empty() {
            builder = builder.body(request.body.to_vec());
        }
        let mut response = builder.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if chunk.len() > (MAX_FETCHED_BYTES as usize).saturating_sub(body.len()) {
                return Err(ExchangeError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.as_str().to_owned(), Bytes::from(value.as_bytes())))
            .collect();
        kept(HttpResponse { status: response.status().as_u16(), headers, body: Bytes(body) })
    }
}

impl Fetch for Session {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let began = Instant::now();
        let answered = self.runtime.block_on(async {
            tokio::select! {
                answered = self.exchange(outgoing) => answered,
                () = self.over() => {
                    Err(FetchError::Network("the execution is over".to_owned()))
                }
            }
        });
        self.left = self.left.saturating_sub(began.elapsed());
        let answered = answered?;
        if let Err(error) = answered
            && failure::may_be_ours(error)
            && let Some(trouble) = self.runtime.block_on(self.web.probe.trouble())
        {
            return Err(FetchError::Network(trouble));
        }
        Ok(Fetched::Fresh(answered))
    }
}

#[cfg(test)]
mod tests;
