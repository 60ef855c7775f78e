//! The HTTP exchanges of an execution: how many more there may be, and the transcript of those that
//! were made.

use outlayer_protocol::{
    Hash32,
    http::{Answered, Exchange, ExchangeError, HttpAccess, HttpRequest, HttpResponse, Transcript},
};

use crate::{
    fetch::{FetchError, Fetched, Http},
    http::{Refusal, is_kept, kept, permitted},
};

/// What an execution may exchange, and has exchanged.
pub struct Exchanges {
    access: Option<HttpAccess>,
    /// Whether several workers must agree.
    several: bool,
    /// Whether the guest reduces answers.
    transforms: bool,
    transcript: Transcript,
    /// What is left of the transcript's bytes.
    bytes_left: u64,
    /// Borsh of what a core module was answered last.
    pub answer: Vec<u8>,
}

impl Exchanges {
    /// No exchange yet, of those that `http` allows.
    pub fn new(http: Option<Http<'_>>) -> Self {
        let most = http.map_or(0, |http| u64::from(http.access.max_bytes));
        Self {
            access: http.map(|http| http.access.clone()),
            several: http.is_some_and(|http| http.several),
            transforms: false,
            transcript: Transcript::default(),
            bytes_left: most.saturating_sub(Transcript::EMPTY_BYTES),
            answer: Vec::new(),
        }
    }

    /// Says whether the guest has a transform. Whoever makes the exchanges applies it.
    pub fn set_transforms(&mut self, transforms: bool) {
        self.transforms = transforms;
    }

    /// Whether the request has access to HTTP at all.
    pub fn is_permitted(&self) -> bool {
        self.access.is_some()
    }

    /// How many exchanges there were, which is the number of the next one.
    pub fn count(&self) -> u32 {
        u32::try_from(self.transcript.exchanges.len()).unwrap_or(u32::MAX)
    }

    /// The request as it is sent, if another exchange may be made.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn admit(&self, request: HttpRequest) -> Result<HttpRequest, Refusal> {
        let access = self.access.as_ref().ok_or(Refusal::Denied)?;
        let request = permitted(access, request)?;
        if self.count() >= access.max_exchanges {
            return Err(Refusal::TooMany);
        }
        if self.bytes_left < Exchange::FAILED_BYTES {
            return Err(Refusal::NoRoom);
        }
        Ok(request)
    }

    /// Records what came of a request that was admitted, and gives what the transcript has of it.
    /// `fetched` has been through the guest's transform, if it has one.
    ///
    /// # Errors
    /// [`FetchError::NotRecordable`] for a recorded exchange that no execution has recorded.
    pub fn record(
        &mut self,
        request_hash: Hash32,
        fetched: Fetched,
    ) -> Result<Exchange, FetchError> {
        let exchange = match fetched {
            Fetched::Fresh(answer) => self.fitting(request_hash, self.reduced(answer)),
            Fetched::Recorded(exchange) => {
                self.check(request_hash, &exchange)
                    .map_err(|why| FetchError::not_recordable(self.count(), why))?;
                exchange
            }
        };
        self.bytes_left = self.bytes_left.saturating_sub(exchange.bytes());
        self.transcript.exchanges.push(exchange.clone());
        Ok(exchange)
    }

    /// What is kept of an answer.
    fn reduced(&self, answer: Result<HttpResponse, ExchangeError>) -> Answered {
        let answer = answer.and_then(|response| {
            if !self.transforms {
                let mut response = kept(response)?;
                if self.several {
                    response.headers.clear();
                }
                return Ok(response);
            }
            if is_kept(&response) { Ok(response) } else { Err(ExchangeError::Transform) }
        });
        match answer {
            Ok(response) => Answered::Response(response),
            // A network has nothing to do with transforms.
            Err(ExchangeError::Transform) if !self.transforms => {
                Answered::Failed(ExchangeError::Protocol)
            }
            Err(error) => Answered::Failed(error),
        }
    }

    /// The exchange, without its answer where that does not fit.
    fn fitting(&self, request_hash: Hash32, answered: Answered) -> Exchange {
        let exchange = Exchange { request_hash, answered };
        if exchange.bytes() <= self.bytes_left {
            return exchange;
        }
        Exchange { answered: Answered::Failed(ExchangeError::TooLarge), ..exchange }
    }

    /// Whether an execution may have recorded an exchange as the next one. The error says what
    /// speaks against it.
    fn check(&self, request_hash: Hash32, exchange: &Exchange) -> Result<(), &'static str> {
        if exchange.request_hash != request_hash {
            return Err("it belongs to another request");
        }
        if exchange.bytes() > self.bytes_left {
            return Err("it does not fit into the transcript");
        }
        match &exchange.answered {
            Answered::Response(response) if !is_kept(response) => {
                Err("its answer has not the form in which answers are kept")
            }
            Answered::Response(response)
                if self.several && !self.transforms && !response.headers.is_empty() =>
            {
                Err("it has headers, which several workers do not keep without a transform")
            }
            Answered::Failed(ExchangeError::Transform) if !self.transforms => {
                Err("the transform of a guest that has none is said to have failed")
            }
            _ => Ok(()),
        }
    }

    /// All exchanges.
    pub fn into_transcript(self) -> Transcript {
        self.transcript
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::Bytes;

    use super::*;

    const FULL: u64 = Transcript::EMPTY_BYTES + 2 * Exchange::FAILED_BYTES;

    fn exchanges(max_bytes: u64, several: bool) -> Exchanges {
        let access = HttpAccess {
            max_exchanges: 2,
            max_bytes: u32::try_from(max_bytes).unwrap(),
            ..HttpAccess::to(vec!["a.example".to_owned()])
        };
        Exchanges::new(Some(Http { access: &access, several }))
    }

    fn request() -> HttpRequest {
        HttpRequest::get("https://a.example/")
    }

    fn response(body: usize) -> HttpResponse {
        let headers = vec![("etag".to_owned(), Bytes::from("1"))];
        HttpResponse { status: 200, headers, body: Bytes(vec![b'x'; body]) }
    }

    #[test]
    fn without_access_nothing_is_admitted() {
        assert_eq!(Exchanges::new(None).admit(request()), Err(Refusal::Denied));
    }

    #[test]
    fn there_are_as_many_as_the_request_allows_and_as_fit() {
        let failed = || Fetched::Fresh(Err(ExchangeError::Unreachable));
        let hash = request().hash();
        let mut enough = exchanges(FULL, false);
        for _ in 0..2 {
            enough.admit(request()).unwrap();
            enough.record(hash, failed()).unwrap();
        }
        assert_eq!(enough.admit(request()), Err(Refusal::TooMany));
        assert_eq!(enough.into_transcript().encode().len() as u64, FULL);
        let mut short = exchanges(FULL - 1, false);
        short.record(hash, failed()).unwrap();
        assert_eq!(short.admit(request()), Err(Refusal::NoRoom));
        let too_short = Transcript::EMPTY_BYTES + Exchange::FAILED_BYTES - 1;
        assert_eq!(exchanges(too_short, false).admit(request()), Err(Refusal::NoRoom));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_too_large() {
        let hash = request().hash();
        let fits = Exchange { request_hash: hash, answered: Answered::Response(response(10)) };
        let most = Transcript::EMPTY_BYTES + fits.bytes();
        let of = |bytes: u64| {
            let mut exchanges = exchanges(bytes, false);
            exchanges.record(hash, Fetched::Fresh(Ok(response(10)))).unwrap()
        };
        assert_eq!(of(most), fits);
        assert_eq!(of(most - 1).answered, Answered::Failed(ExchangeError::TooLarge));
    }

    #[test]
    fn what_no_execution_records_is_not_replayed() {
        let (hash, other) = (request().hash(), Hash32::of(b"other"));
        let of = |request_hash, answered| Exchange { request_hash, answered };
        let replayed = |several, transforms, exchange: Exchange| {
            let mut exchanges = exchanges(200, several);
            exchanges.set_transforms(transforms);
            exchanges.record(hash, Fetched::Recorded(exchange)).is_ok()
        };
        let plain = HttpResponse { headers: Vec::new(), ..response(1) };
        let plain = of(hash, Answered::Response(plain));
        let headed = of(hash, Answered::Response(response(1)));
        assert!(replayed(true, false, plain.clone()));
        assert!(replayed(false, false, headed.clone()));
        assert!(replayed(true, true, headed.clone()));
        assert!(!replayed(true, false, headed));
        assert!(!replayed(false, false, Exchange { request_hash: other, ..plain }));
        let unkept = HttpResponse { status: 7, ..response(1) };
        assert!(!replayed(false, true, of(hash, Answered::Response(unkept))));
        assert!(!replayed(false, true, of(hash, Answered::Response(response(200)))));
        let transform = of(hash, Answered::Failed(ExchangeError::Transform));
        assert!(replayed(false, true, transform.clone()));
        assert!(!replayed(false, false, transform));
    }

    #[test]
    fn headers_are_kept_by_one_worker_or_a_transform() {
        let hash = request().hash();
        let headers = |several, transforms| {
            let mut exchanges = exchanges(200, several);
            exchanges.set_transforms(transforms);
            let kept = exchanges.record(hash, Fetched::Fresh(Ok(response(1)))).unwrap();
            match &kept.answered {
                Answered::Response(response) => response.headers.len(),
                Answered::Failed(_) => panic!("it fits"),
            }
        };
        assert_eq!([headers(false, false), headers(true, false), headers(true, true)], [1, 0, 1]);
    }
}
