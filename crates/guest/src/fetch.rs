//! Where the answers of HTTP exchanges come from.

use outlayer_protocol::{
    Hash32, RequestId,
    http::{Exchange, ExchangeError, HttpAccess, HttpRequest, HttpResponse, Transcript},
};

/// What a request says about HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http<'a> {
    /// What may be reached, and how much of it.
    pub access: &'a HttpAccess,
    /// Whether several workers must agree. Without a transform, only status and body of an answer
    /// are kept then.
    pub several: bool,
}

impl<'a> Http<'a> {
    /// What a request says with this access and this many approvals.
    pub fn of(access: Option<&'a HttpAccess>, approvals: u8) -> Option<Self> {
        access.map(|access| Self { access, several: approvals > 1 })
    }
}

/// An exchange that a guest asks for. The request may reach it: host and method have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The request of the chain that the guest answers.
    pub request_id: RequestId,
    /// Which exchange of the execution it is, from 0.
    pub number: u32,
    /// What the guest sends.
    pub request: &'a HttpRequest,
}

/// What an exchange came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Just now, over the network. The guest's transform, if it has one, reduces the answer, and
    /// then it enters the transcript.
    Fresh(Result<HttpResponse, ExchangeError>),
    /// In an execution before, whose transcript is being replayed.
    Recorded(Exchange),
}

/// The network, or a transcript.
pub trait Fetch {
    /// Makes an exchange. An execution makes them one after the other.
    ///
    /// # Errors
    /// [`FetchError`] when nothing can be said about the exchange; the execution then ends without
    /// a verdict.
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError>;
}

impl<F: Fetch + ?Sized> Fetch for &mut F {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        (**self).fetch(outgoing)
    }
}

/// No word can be had about an exchange.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The network of this host fails, and not the server alone.
    #[error("this host has no network: {0}")]
    Network(String),
    /// The transcript has no such exchange, so the execution is not the one that it belongs to.
    #[error("the transcript has no exchange {number} with the request {request_hash}")]
    NotInTranscript {
        /// Which exchange the guest asked for, from 0.
        number: u32,
        /// The hash of what the guest asked.
        request_hash: Hash32,
    },
    /// An exchange of the transcript is none that an execution of this guest records.
    #[error("exchange {number} of the transcript is none that this guest can have had: {why}")]
    NotRecordable {
        /// Which exchange it is, from 0.
        number: u32,
        /// What speaks against it.
        why: String,
    },
    /// The execution has no network, though the request gives it one.
    #[error("the execution was given no network and no transcript")]
    None,
}

impl FetchError {
    /// The exchange with this number is none that an execution of this guest records.
    pub(crate) fn not_recordable(number: u32, why: &str) -> Self {
        Self::NotRecordable { number, why: why.to_owned() }
    }

    /// Whether the transcript that is replayed is not that of this execution. Otherwise another
    /// attempt, or another host, may succeed.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::NotInTranscript { .. } | Self::NotRecordable { .. })
    }
}

/// The exchange with this number, if its request is named so.
pub(crate) fn recorded(
    transcript: &Transcript,
    number: u32,
    request_hash: Hash32,
) -> Result<&Exchange, FetchError> {
    let exchange = usize::try_from(number).ok().and_then(|number| transcript.exchanges.get(number));
    exchange
        .filter(|exchange| exchange.request_hash == request_hash)
        .ok_or(FetchError::NotInTranscript { number, request_hash })
}

/// Replays a transcript.
impl Fetch for Transcript {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let exchange = recorded(self, outgoing.number, outgoing.request.hash())?;
        Ok(Fetched::Recorded(exchange.clone()))
    }
}
