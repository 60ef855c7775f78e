//! Exchanges: a request that a guest made, and the answer that it was given.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{MAX_HEADER_BYTES, MAX_HEADERS};
use crate::{Bytes, Hash32};

/// The headers of an answer that may be kept, by their names in small letters.
pub const KEPT_HEADERS: [&str; 8] = [
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
];

/// A request as a guest makes it.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Encode, Decode, Serialize,
)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// The URL, as [`Url`](super::Url) displays it.
    pub url: String,
    /// Names, in small letters, and values of the guest's own headers, in its order.
    pub headers: Vec<(String, Bytes)>,
    /// The body.
    pub body: Bytes,
}

impl HttpRequest {
    /// A `GET` of a URL, without headers.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::default(),
        }
    }

    /// What names the request in a transcript: SHA-256 over its borsh encoding.
    pub fn hash(&self) -> Hash32 {
        Hash32::of_borsh(self)
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names, in small letters, and values of the headers that are kept.
    pub headers: Vec<(String, Bytes)>,
    /// The body.
    pub body: Bytes,
}

impl HttpResponse {
    /// Whether an exchange can have this answer: a status of three digits, and headers within
    /// bounds, of the names that are [kept](KEPT_HEADERS), sorted, each once.
    pub fn is_kept_form(&self) -> bool {
        let bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        (100..1_000).contains(&self.status)
            && self.headers.len() <= MAX_HEADERS
            && bytes <= MAX_HEADER_BYTES
            && self.headers.is_sorted_by(|(name, _), (next, _)| name < next)
            && self.headers.iter().all(|(name, _)| KEPT_HEADERS.contains(&name.as_str()))
    }
}

/// Why an exchange has no answer. It reaches the guest as an error of `wasi:http`, and stands in
/// the transcript as an answer does.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Error,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeError {
    /// The name of the host has no address.
    #[error("the name of the host has no address")]
    Unresolved,
    /// The address of the host is not on the public internet.
    #[error("the host is not on the public internet")]
    PrivateAddress,
    /// No connection was made.
    #[error("the host does not take the connection")]
    Unreachable,
    /// The certificate of the host does not verify, or TLS failed in another way.
    #[error("the host cannot be spoken to over TLS")]
    Tls,
    /// The time that the request gives to its exchanges was over.
    #[error("there was no answer in time")]
    TimedOut,
    /// The connection ended, or what came is no HTTP.
    #[error("the host broke off, or did not answer in HTTP")]
    Protocol,
    /// The answer is too long, or does not fit into what is left of the transcript.
    #[error("the answer is too large")]
    TooLarge,
    /// The guest's transform trapped, used too much, or gave what is no answer.
    #[error("the guest's transform failed")]
    Transform,
}

/// What came of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// An answer, as the guest's transform left it.
    Response(HttpResponse),
    /// None.
    Failed(ExchangeError),
}

/// One exchange.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Exchange {
    /// The [hash](HttpRequest::hash) of the request.
    pub request_hash: Hash32,
    /// What the guest was given.
    pub answered: Answered,
}

impl Exchange {
    /// Bytes of the encoding of an exchange without an answer, the shortest that there is.
    pub const FAILED_BYTES: u64 = 32 + 1 + 1;

    /// Bytes of its encoding.
    pub fn bytes(&self) -> u64 {
        match &self.answered {
            Answered::Failed(_) => Self::FAILED_BYTES,
            Answered::Response(response) => {
                let headers = response.headers.iter();
                let headers: usize =
                    headers.map(|(name, value)| 8 + name.len() + value.len()).sum();
                (32 + 1 + 2 + 4 + headers + 4 + response.body.len()) as u64
            }
        }
    }
}

/// All exchanges of an execution, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Transcript {
    /// The exchanges.
    pub exchanges: Vec<Exchange>,
}

impl Transcript {
    /// Bytes of the encoding of a transcript apart from its exchanges.
    pub const EMPTY_BYTES: u64 = 4;

    /// The encoding: borsh, and nothing at all where nothing was exchanged.
    pub fn encode(&self) -> Bytes {
        if self.exchanges.is_empty() {
            return Bytes::default();
        }
        // Writing to memory does not fail.
        Bytes(borsh::to_vec(self).unwrap_or_default())
    }

    /// The transcript that is encoded as `bytes`.
    ///
    /// # Errors
    /// An error of borsh when they are no transcript.
    pub fn decode(bytes: &[u8]) -> std::io::Result<Self> {
        if bytes.is_empty() { Ok(Self::default()) } else { borsh::from_slice(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(answered: Answered) -> Exchange {
        Exchange { request_hash: Hash32::of(b"request"), answered }
    }

    fn response() -> HttpResponse {
        HttpResponse {
            status: 200,
            headers: vec![
                ("content-type".to_owned(), "application/json".into()),
                ("etag".to_owned(), "1".into()),
            ],
            body: "{}".into(),
        }
    }

    #[test]
    fn the_length_of_a_transcript_is_that_of_its_encoding() {
        let answered = [Answered::Response(response()), Answered::Failed(ExchangeError::Transform)];
        let exchanges: Vec<_> = answered.into_iter().map(exchange).collect();
        let bytes: u64 = exchanges.iter().map(Exchange::bytes).sum();
        let transcript = Transcript { exchanges };
        let encoded = transcript.encode();
        assert_eq!(encoded.len() as u64, Transcript::EMPTY_BYTES + bytes);
        assert_eq!(Transcript::decode(&encoded).unwrap(), transcript);
        assert!(Transcript::decode(&encoded[1..]).is_err());
        let nothing = Transcript::default();
        assert_eq!((nothing.encode().len(), Transcript::decode(b"").unwrap()), (0, nothing));
    }

    #[test]
    fn an_answer_is_kept_with_known_headers_in_order() {
        assert!(response().is_kept_form());
        let altered = |change: &dyn Fn(&mut HttpResponse)| {
            let mut response = response();
            change(&mut response);
            response.is_kept_form()
        };
        assert!(!altered(&|r| r.headers.reverse()));
        assert!(!altered(&|r| r.headers[1].0 = "content-type".to_owned()));
        assert!(!altered(&|r| r.headers[1].0 = "set-cookie".to_owned()));
        assert!(!altered(&|r| r.headers[1].1 = vec![b'x'; MAX_HEADER_BYTES].into()));
        assert!(!altered(&|r| r.status = 99));
    }
}
