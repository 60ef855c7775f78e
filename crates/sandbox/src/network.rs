//! The exchanges over HTTP that a child asks for.
//!
//! The child has checked that its guest may make each of them. But a child may be whatever a guest
//! has made of it, so they are checked again before anything is sent, and the transcript
//! afterwards.

use outlayer_guest::{
    FetchError, Fetched, Http, Job, Outgoing, Snapshot,
    http::{is_kept, permitted},
};
use outlayer_protocol::{
    Hash32, RequestId,
    http::{Answered, Exchange, HttpRequest, Transcript},
};

use crate::wire::{Reply, Told};

/// What a child has asked for.
pub(crate) struct Network<'a> {
    request_id: RequestId,
    http: Option<Http<'a>>,
    /// The hash of each request, and the exchange where one is replayed.
    fetched: Vec<(Hash32, Option<Exchange>)>,
}

impl<'a> Network<'a> {
    /// For a child that executes `job`.
    pub(crate) fn new(job: &Job<'a>) -> Self {
        Self { request_id: job.context.request_id, http: job.http, fetched: Vec::new() }
    }

    /// Checks that a guest could send this next. Gives its hash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, number: u32, request: &HttpRequest) -> Result<Hash32, String> {
        let Some(http) = self.http else {
            return Err("it asked for an exchange, and its request has no HTTP".to_owned());
        };
        if usize::try_from(number) != Ok(self.fetched.len()) || number >= http.access.max_exchanges
        {
            return Err(format!(
                "it asked for exchange {number} after {} of {}",
                self.fetched.len(),
                http.access.max_exchanges
            ));
        }
        match permitted(http.access, request.clone()) {
            Ok(permitted) if permitted == *request => Ok(request.hash()),
            Ok(_) => Err("it asked for an exchange in another form".to_owned()),
            Err(refusal) => Err(format!("it asked for an exchange, but {refusal}")),
        }
    }

    /// Makes an exchange that was checked.
    pub(crate) fn fetch(
        &mut self,
        snapshot: &mut dyn Snapshot,
        hash: Hash32,
        request: &HttpRequest,
    ) -> Reply {
        let number = u32::try_from(self.fetched.len()).unwrap_or(u32::MAX);
        let outgoing = Outgoing { request_id: self.request_id, number, request };
        // Whatever comes of it, a child asks for an exchange once.
        self.fetched.push((hash, None));
        let fetched = match snapshot.network() {
            Some(network) => network.fetch(&outgoing)?,
            None => return Err(FetchError::None.into()),
        };
        if let (Fetched::Recorded(exchange), Some((_, recorded))) =
            (&fetched, self.fetched.last_mut())
        {
            *recorded = Some(exchange.clone());
        }
        Ok(Told::from(fetched))
    }

    /// Checks that a transcript has what was fetched, within the request's bounds. How the guest's
    /// transform has reduced it, only an execution can tell.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_transcript(&self, transcript: &Transcript) -> Result<(), &'static str> {
        let exchanges = &transcript.exchanges;
        if exchanges.len() != self.fetched.len() {
            return Err("its transcript has other exchanges than it has asked for");
        }
        let bytes = exchanges.iter().map(Exchange::bytes).sum::<u64>();
        let most = self.http.map_or(0, |http| u64::from(http.access.max_bytes));
        if !exchanges.is_empty() && Transcript::EMPTY_BYTES + bytes > most {
            return Err("its transcript is longer than its request allows");
        }
        for (exchange, (hash, recorded)) in exchanges.iter().zip(&self.fetched) {
            let is_other = recorded.as_ref().is_some_and(|recorded| recorded != exchange);
            if exchange.request_hash != *hash || is_other {
                return Err("its transcript has another exchange than it was told");
            }
            if matches!(&exchange.answered, Answered::Response(response) if !is_kept(response)) {
                return Err("its transcript has an answer that no transcript keeps");
            }
        }
        Ok(())
    }
}
