//! A network that answers what a test says.

use std::collections::VecDeque;

use outlayer_guest::{Fetch, FetchError, Fetched, Outgoing};
use outlayer_protocol::{
    Bytes,
    http::{ExchangeError, HttpAccess, HttpRequest, HttpResponse},
};

/// Gives its answers one after the other, and keeps what it was asked.
#[derive(Default)]
pub(crate) struct Web {
    pub(crate) answers: VecDeque<Result<Fetched, FetchError>>,
    pub(crate) asked: Vec<HttpRequest>,
}

impl Web {
    /// A network that gives these answers.
    pub(crate) fn of(
        answers: impl IntoIterator<Item = Result<HttpResponse, ExchangeError>>,
    ) -> Self {
        let answers = answers.into_iter().map(|answer| Ok(Fetched::Fresh(answer))).collect();
        Self { answers, asked: Vec::new() }
    }
}

impl Fetch for Web {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        assert_eq!((outgoing.request_id, outgoing.number as usize), (7, self.asked.len()));
        self.asked.push(outgoing.request.clone());
        self.answers.pop_front().expect("more is asked than the test has answers for")
    }
}

/// Access to `example.org`, with room for ten exchanges.
pub(crate) fn access() -> HttpAccess {
    HttpAccess {
        max_exchanges: 10,
        max_bytes: 8 << 10,
        ..HttpAccess::to(vec!["example.org".to_owned()])
    }
}

/// An answer with this body, and with a header that is kept and one that is not.
pub(crate) fn answer(body: impl Into<Vec<u8>>) -> HttpResponse {
    let headers = [("Content-Type", "text/plain"), ("Set-Cookie", "a=b")];
    HttpResponse {
        status: 200,
        headers: headers.map(|(name, value)| (name.to_owned(), Bytes::from(value))).to_vec(),
        body: Bytes(body.into()),
    }
}

/// What is kept of it.
pub(crate) fn kept(body: impl Into<Vec<u8>>) -> HttpResponse {
    let headers = vec![("content-type".to_owned(), Bytes::from("text/plain"))];
    HttpResponse { status: 200, headers, body: Bytes(body.into()) }
}

/// A request for a path of `example.org`.
pub(crate) fn get(path: &str) -> HttpRequest {
    HttpRequest::get(format!("https://example.org{path}"))
}
