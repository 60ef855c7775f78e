//! One JSON-RPC call over HTTP, with a bound on time and on the answer's size.
//!
//! The methods' types and the parsing of their results are `near-jsonrpc-client`'s; sending is done here, because that
//! client reads an answer of any length into memory.

use std::time::Duration;

use near_jsonrpc_client::{
    errors::{JsonRpcError, JsonRpcServerError},
    methods::{self, RpcMethod},
};
use near_jsonrpc_primitives::message::{self, Message};
use reqwest::{StatusCode, Url};

use super::ChainError;

/// Why a call failed: before the method's own handler, or in it.
pub(super) enum CallError<E> {
    Chain(ChainError),
    Handler(E),
}

impl<E> From<ChainError> for CallError<E> {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    url: Url,
    max_answer_bytes: usize,
}

impl Transport {
    pub(super) fn new(
        url: &str,
        timeout: Duration,
        max_answer_bytes: usize,
    ) -> Result<Self, ChainError> {
        let broken = |reason: String| ChainError::Transport {
            method: "connect".into(),
            url: url.into(),
            reason,
        };
        let parsed = Url::parse(url)
            .map_err(|error| broken(format!("expected an http(s) address: {error}")))?;
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::limited(3))
            .build()
            .map_err(|error| broken(chain_of(&error)))?;
        Ok(Self { http, url: parsed, max_answer_bytes })
    }

    /// The node's address as it may be shown: API keys often stand in the user part, path or query.
    pub(super) fn shown_url(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    fn failed(&self, method: &str, reason: impl Into<String>) -> ChainError {
        ChainError::Transport {
            method: method.into(),
            url: self.shown_url(),
            reason: reason.into(),
        }
    }

    pub(super) async fn call<M: RpcMethod>(
        &self,
        request: &M,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M::Error: std::fmt::Display,
    {
        let method = request.method_name();
        let malformed = |reason: String| ChainError::Malformed { method: method.into(), reason };
        let body =
            methods::to_json(request).map_err(|error| malformed(error.to_string()))?.to_string();
        let answer = self.post(method, body).await?;
        let result = match message::from_slice(&answer) {
            Ok(Message::Response(response)) => response.result,
            Ok(_) => {
                return Err(malformed(
                    "expected a JSON-RPC response, found another message".into(),
                )
                .into());
            }
            Err(broken) => return Err(malformed(clip(&format!("{broken:?}"))).into()),
        };
        let value = match result {
            Ok(value) => value,
            Err(error) => return Err(from_rpc_error(method, JsonRpcError::from(error))),
        };
        M::parse_handler_response(value)
            .map_err(|error| malformed(clip(&error.to_string())))?
            .map_err(CallError::Handler)
    }

    async fn post(&self, method: &str, body: String) -> Result<Vec<u8>, ChainError> {
        let sent = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;
        let mut response = sent.map_err(|error| self.failed(method, chain_of(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNAUTHORIZED) => {
                return Err(ChainError::Refused {
                    method: method.into(),
                    reason: format!("HTTP status {status}"),
                });
            }
            status => return Err(self.failed(method, format!("HTTP status {status}"))),
        }
        let mut answer = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.failed(method, chain_of(&error)))?
        {
            if answer.len() + chunk.len() > self.max_answer_bytes {
                return Err(ChainError::TooLarge {
                    method: method.into(),
                    limit: self.max_answer_bytes,
                });
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

fn from_rpc_error<E: std::fmt::Display>(method: &str, error: JsonRpcError<E>) -> CallError<E> {
    let method = method.to_owned();
    match error {
        JsonRpcError::ServerError(JsonRpcServerError::HandlerError(error)) => {
            CallError::Handler(error)
        }
        JsonRpcError::ServerError(JsonRpcServerError::InternalError { info }) => {
            CallError::Chain(ChainError::Busy { method, reason: clip(&info.unwrap_or_default()) })
        }
        other => CallError::Chain(ChainError::Refused { method, reason: clip(&other.to_string()) }),
    }
}

/// An error with its causes; `reqwest` keeps the interesting part in those.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    clip(&text)
}

/// The start of a text from outside, fit for an error message.
pub(crate) fn clip(text: &str) -> String {
    const MOST: usize = 600;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
