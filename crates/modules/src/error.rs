//! Why code cannot be had.

use std::{sync::Arc, time::Duration};

use outlayer_client::{ChainError, with_causes};
use outlayer_fetch::UrlError;
use outlayer_protocol::{AccountId, Hash32};
use reqwest::StatusCode;

/// Code that cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodeError {
    /// The bytes have another hash than the request names. They are never executed.
    #[error("the bytes from {source_name} have the SHA-256 {found}, expected {expected}")]
    Hash {
        /// The URL or the contract that gave them.
        source_name: String,
        /// The hash of the bytes.
        found: Hash32,
        /// The hash that the request names.
        expected: Hash32,
    },
    /// The code is larger than [`CodeConfig::max_code_bytes`](crate::CodeConfig).
    #[error("the code from {source_name} has more than the {limit} bytes that are accepted")]
    TooLarge {
        /// The URL or the contract that has it.
        source_name: String,
        /// The most that is accepted, bytes.
        limit: usize,
    },
    /// The code cannot be downloaded from its URL.
    #[error("the code at {url} cannot be fetched: {source}")]
    Download {
        /// The start of the URL, with control characters escaped.
        url: String,
        /// Why.
        source: DownloadError,
    },
    /// The code is not published in the contract, or not all of it.
    #[error("code {hash} is not published in {contract}: {published} bytes of {total} are there")]
    NotPublished {
        /// The hash that the request names.
        hash: Hash32,
        /// The contract that was asked.
        contract: AccountId,
        /// How much of it is published, bytes.
        published: u32,
        /// Its length, bytes; 0 when the contract does not know the code.
        total: u32,
    },
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// A download that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DownloadError {
    /// The request's URL is not fetched from.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// There is no connection, it broke, a redirect is not followed, or the time is over.
    #[error("{}", with_causes(.0))]
    Http(#[source] Arc<reqwest::Error>),
    /// The server answered with an HTTP status that is not a success.
    #[error("HTTP status {0}")]
    Status(StatusCode),
    /// The body comes more slowly than [`CodeConfig::min_bytes_per_second`](crate::CodeConfig).
    #[error(
        "only {received} bytes arrived in {:.1} s, expected at least {least} bytes a second",
        after.as_secs_f32()
    )]
    TooSlow {
        /// How much arrived, bytes.
        received: usize,
        /// The time since the head of the response.
        after: Duration,
        /// The least rate that is accepted, bytes a second.
        least: u32,
    },
}

impl From<reqwest::Error> for DownloadError {
    fn from(error: reqwest::Error) -> Self {
        // The message around it names the URL that the request gave.
        Self::Http(Arc::new(error.without_url()))
    }
}
