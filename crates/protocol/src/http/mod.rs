//! HTTP: what a request may reach, and the transcript that makes an execution over the network
//! repeatable.
//!
//! A guest sees nothing of the network but the [`Transcript`] of its exchanges, so its execution is
//! a pure function of it. The transcript comes with the response, its hash stands in the record,
//! and a replay reads it from the chain. That proves what the guest made of the answers, and never
//! that a server gave them: the workers that reveal the record attest the transcript.

mod access;
mod exchange;
mod url;

pub use access::{HostError, HttpAccess, HttpLimits, MAX_HOST_BYTES, MAX_HOSTS, MOST_HOSTS_BYTES};
pub use exchange::{
    Answered, Exchange, ExchangeError, HttpRequest, HttpResponse, KEPT_HEADERS, Transcript,
};
pub use url::{Scheme, Url, UrlError};

/// The longest body of an answer before the guest's transform reduces it, bytes. A longer one is
/// [`ExchangeError::TooLarge`].
pub const MAX_FETCHED_BYTES: u32 = 1 << 20;
/// The longest body that a guest may send, bytes.
pub const MAX_SENT_BYTES: u32 = 64 << 10;
/// The longest URL of an exchange, bytes.
pub const MAX_URL_BYTES: usize = 2 << 10;
/// The most headers that a guest may send with a request, and that are kept of an answer.
pub const MAX_HEADERS: usize = 32;
/// The most bytes of the names and values of these headers together.
pub const MAX_HEADER_BYTES: usize = 8 << 10;
/// How far an exchange moves the virtual clock, whatever time it took, nanoseconds.
pub const EXCHANGE_NANOS: u64 = 100_000_000;
/// The most fuel that the transform of one exchange may use. What it uses is in the price of an
/// exchange, and not in what the execution used.
pub const TRANSFORM_FUEL: u64 = 50_000_000;
