//! Secrets of an execution: how the guest is given them, and how what is published of the execution
//! tells nothing of them that the guest does not tell itself.
//!
//! A transcript names requests by their hashes, and a record binds the hash of the logs. Whoever
//! tries likely values of a secret could find the one that gives such a hash. So both are mixed
//! with the salts of the secrets' commitments, which only those know who have the secrets.

use std::fmt;

use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId,
    http::{Exchange, Transcript},
    secrets::{Blinded, Opening, SecretPin, blinded, blinding},
};

use crate::{
    execution::Execution,
    fetch::{Fetch, FetchError, Fetched, Outgoing, recorded},
};

/// The values of a request's secrets, and what conceals the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    variables: Vec<(String, String)>,
    blinding: Hash32,
}

/// The names alone.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

impl Secrets {
    /// The secrets of a request, each with what its commitment opens to, in the request's order.
    pub fn new<'a>(
        request_id: RequestId,
        opened: impl IntoIterator<Item = (&'a SecretPin, Opening)>,
    ) -> Self {
        let (pins, openings): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
        let blinding = blinding(request_id, &openings);
        let names = pins.into_iter().map(|pin| pin.name.clone());
        let variables = names.zip(openings.into_iter().map(|opening| opening.value)).collect();
        Self { variables, blinding }
    }

    /// Names and values, as [`Job::secrets`](crate::Job::secrets) has them.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// How an HTTP request with this hash is named in a transcript, as the exchange with this
    /// number.
    fn name(&self, number: u32, request_hash: &Hash32) -> Hash32 {
        blinded(&self.blinding, Blinded::Exchange(number), request_hash)
    }

    /// Conceals the hashes of the HTTP requests of an execution.
    pub fn conceal(&self, transcript: &mut Transcript) {
        for (exchange, number) in transcript.exchanges.iter_mut().zip(0..) {
            exchange.request_hash = self.name(number, &exchange.request_hash);
        }
    }

    /// The body that answers the request, with the hashes of HTTP requests and of the logs
    /// concealed.
    pub fn response(&self, mut execution: Execution, request_id: RequestId) -> ExecutionResponse {
        self.conceal(&mut execution.transcript);
        let log_hash = blinded(&self.blinding, Blinded::Logs, &execution.log_hash());
        ExecutionResponse { log_hash, ..execution.into_response(request_id) }
    }
}

/// Replays a transcript. Where the execution had secrets, its hashes are concealed by them.
pub struct Replayed<'a> {
    transcript: Transcript,
    secrets: Option<&'a Secrets>,
}

impl<'a> Replayed<'a> {
    /// The transcript of an execution with these secrets.
    pub const fn new(transcript: Transcript, secrets: Option<&'a Secrets>) -> Self {
        Self { transcript, secrets }
    }
}

impl Fetch for Replayed<'_> {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let (number, plain) = (outgoing.number, outgoing.request.hash());
        let named = self.secrets.map_or(plain, |secrets| secrets.name(number, &plain));
        let exchange = recorded(&self.transcript, number, named)?.clone();
        Ok(Fetched::Recorded(Exchange { request_hash: plain, ..exchange }))
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::{
        Bytes, Compute, Status,
        http::{Answered, ExchangeError, HttpRequest},
    };

    use super::*;

    fn opening(salt: u8) -> Opening {
        Opening { salt: [salt; 32], value: "hunter2".to_owned() }
    }

    fn pin() -> SecretPin {
        SecretPin {
            owner_id: "keys.near".parse().unwrap(),
            name: "API_KEY".to_owned(),
            version: 1,
            commitment: opening(1).commitment(),
        }
    }

    fn execution(request: &HttpRequest) -> Execution {
        let answered = Answered::Failed(ExchangeError::TimedOut);
        let exchange = Exchange { request_hash: request.hash(), answered };
        Execution {
            status: Status::Completed,
            output: Vec::new(),
            used: Compute::Fuel(1),
            reads: Vec::new(),
            journal: Vec::new(),
            plan: Default::default(),
            transcript: Transcript { exchanges: vec![exchange] },
            logs: b"the key is hunter2".to_vec(),
            backtrace: Default::default(),
        }
    }

    #[test]
    fn a_body_tells_nothing_without_the_salt_and_replays_with_it() {
        let pin = pin();
        let secrets = Secrets::new(7, [(&pin, opening(1))]);
        assert_eq!(format!("{secrets:?}"), r#"["API_KEY"]"#);
        let env = secrets.variables();
        assert_eq!(env.last(), Some(&("API_KEY".to_owned(), "hunter2".to_owned())));

        let sent = HttpRequest {
            headers: vec![("authorization".to_owned(), "Bearer hunter2".into())],
            ..HttpRequest::get("https://a.example/")
        };
        let plain = execution(&sent).into_response(7);
        let body = secrets.response(execution(&sent), 7);
        let other = Secrets::new(7, [(&pin, opening(2))]).response(execution(&sent), 7);
        for (one, two) in [(&plain, &body), (&body, &other)] {
            assert_ne!(one.log_hash, two.log_hash);
            assert_ne!(one.transcript, two.transcript);
        }

        let transcript = Transcript::decode(&body.transcript).unwrap();
        let outgoing = |request| Outgoing { request_id: 7, number: 0, request };
        let replayed = |transcript: &Transcript| Replayed::new(transcript.clone(), Some(&secrets));
        let found = replayed(&transcript).fetch(&outgoing(&sent)).unwrap();
        let recorded = execution(&sent).transcript.exchanges.remove(0);
        assert_eq!(found, Fetched::Recorded(recorded));
        let altered = HttpRequest { body: Bytes::from("x"), ..sent.clone() };
        assert!(replayed(&transcript).fetch(&outgoing(&altered)).is_err());
    }
}
