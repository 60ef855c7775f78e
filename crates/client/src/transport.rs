//! One JSON-RPC call over HTTP, with a bound on its time and on the size of its answer.
//!
//! The types of the methods and the parsing of their results come from `near-jsonrpc-client`. This
//! module does the sending itself, because that client reads an answer of any length into memory.

use std::time::Duration;

use near_jsonrpc_client::{
    errors::{JsonRpcError, JsonRpcServerError},
    methods::{self, RpcMethod},
};
use near_jsonrpc_primitives::message::{self, Message};
use reqwest::{StatusCode, Url};

use crate::{
    ChainError, TransportError,
    text::{clip, with_causes},
};

/// Why a call failed.
pub(crate) enum CallError<E> {
    /// The method's handler on the node was not reached, or its answer did not arrive.
    Chain(ChainError),
    /// The method's handler answered with an error.
    Handler(E),
}

impl<E> From<ChainError> for CallError<E> {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    url: Url,
    max_answer_bytes: usize,
}

impl Transport {
    pub(crate) fn new(
        url: &str,
        timeout: Duration,
        max_answer_bytes: usize,
    ) -> Result<Self, ChainError> {
        let url = Url::parse(url).map_err(|source| ChainError::NodeUrl { source })?;
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::limited(3))
            .build()
            .map_err(|error| failed("connect", &url, error))?;
        Ok(Self { http, url, max_answer_bytes })
    }

    /// The node's URL as it may be shown: an API key is often in the user part, path or query.
    pub(crate) fn shown_url(&self) -> String {
        shown(&self.url)
    }

    pub(crate) async fn call<M: RpcMethod>(
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
            .map_err(|error| malformed(clip(&with_causes(&error))))?
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
        let mut response = sent.map_err(|error| failed(method, &self.url, error))?;
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNAUTHORIZED) => {
                return Err(ChainError::Refused {
                    method: method.into(),
                    reason: TransportError::Status(status).to_string(),
                });
            }
            status => return Err(failed(method, &self.url, TransportError::Status(status))),
        }
        let mut answer = Vec::new();
        while let Some(received) =
            response.chunk().await.map_err(|error| failed(method, &self.url, error))?
        {
            if answer.len() + received.len() > self.max_answer_bytes {
                return Err(ChainError::TooLarge {
                    method: method.into(),
                    limit: self.max_answer_bytes,
                });
            }
            answer.extend_from_slice(&received);
        }
        Ok(answer)
    }
}

fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn failed(method: &str, url: &Url, source: impl Into<TransportError>) -> ChainError {
    ChainError::Transport { method: method.into(), url: shown(url), source: source.into() }
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
