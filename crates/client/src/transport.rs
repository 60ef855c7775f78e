//! One JSON-RPC call over HTTP, with a bound on its time and on the size of its answer.
//!
//! The types of the methods and the parsing of their results come from `near-jsonrpc-client`. This
//! module does the sending itself, because that client reads an answer of any length into memory,
//! reads errors only from answers with HTTP status 200 (a NEAR node sends some with 408, 422 or
//! 500), does not compare ids, and shows URLs in its errors.
//!
//! The result of a view is an array of numbers, one for each byte. Its parsing there makes several
//! values of 32 bytes for each of them, a gigabyte for the largest answer. So it is read here, and
//! an answer of any other kind may have [`MOST_VALUES`] values.

mod view;

use std::{
    any::Any,
    fmt::{self, Display},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use near_jsonrpc_client::{
    errors::{JsonRpcError, JsonRpcServerError},
    methods::{self, RpcHandlerError, RpcMethod},
};
use near_jsonrpc_primitives::{
    errors::RpcError,
    message::{self, Message},
    types::query::RpcQueryResponse,
};
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER},
};
use serde_json::{Map, Value};

use crate::{
    ChainError, EndpointUrl, TransportError,
    text::{clip, with_causes},
};

/// Why a call failed.
pub(crate) enum CallError<E> {
    /// The method's handler on the node was not reached, or its answer did not arrive.
    Chain(ChainError),
    /// The method's handler answered with an error.
    Handler(E),
}

impl<E> CallError<E> {
    /// Whether nothing follows from it about what was asked.
    pub(crate) fn says_nothing(&self) -> bool {
        matches!(self, Self::Chain(error) if error.says_nothing())
    }
}

impl<E> From<ChainError> for CallError<E> {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

/// The most that is read of an answer whose HTTP status reports an error, bytes.
const MOST_ERROR_BYTES: usize = 64 << 10;
/// The most JSON values in an answer that is not the result of a view. Each takes up to 100 bytes
/// while the answer is parsed.
const MOST_VALUES: usize = 1_000_000;
/// Whoever asks for a longer rest gets this one, seconds: a day.
const MOST_RETRY_AFTER: u64 = 86_400;
/// The longest time that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    url: EndpointUrl,
    max_answer_bytes: usize,
    /// See [`clock_ahead`](Transport::clock_ahead).
    clock_ahead: Arc<Mutex<Option<i64>>>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The HTTP client would show a proxy's credentials.
        f.debug_tuple("Transport").field(&self.url).finish()
    }
}

impl Transport {
    pub(crate) fn new(url: &EndpointUrl, max_answer_bytes: usize) -> Result<Self, ChainError> {
        let address = url.secret().map_err(|source| ChainError::NodeUrl { source })?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // A redirect would make a GET of a call, or take the URL's secrets elsewhere.
            .redirect(reqwest::redirect::Policy::none());
        if is_this_machine(address) {
            // Nobody shows a certificate here. Reading those that the system trusts takes 40 ms of
            // processor time without optimisation, and tests make clients by the hundred.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| ChainError::Transport {
            method: "connect".into(),
            url: url.clone(),
            source: error.into(),
        })?;
        Ok(Self { http, url: url.clone(), max_answer_bytes, clock_ahead: Arc::default() })
    }

    /// How many seconds this machine's clock is ahead of the server's, or behind it when that is
    /// negative, by the date of its newest answer; `None` when it has sent none.
    pub(crate) fn clock_ahead(&self) -> Option<i64> {
        *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Sends `request` once and waits at most `timeout` for the whole answer.
    pub(crate) async fn call<M: RpcMethod<Response: 'static>>(
        &self,
        request: &M,
        timeout: Duration,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M::Error: Display,
    {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let method = request.method_name();
        let malformed = |reason: &str| ChainError::Malformed {
            method: method.into(),
            reason: clip(&self.url.scrub(reason)),
        };
        let mut body = methods::to_json(request).map_err(|error| malformed(&error.to_string()))?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        if let Value::Object(members) = &mut body {
            members.insert("id".to_owned(), Value::from(id));
        }
        let answer = self.post(method, id, body.to_string(), timeout).await?;
        match answer {
            Ok(Answer::Viewed(response)) => match (response as Box<dyn Any>).downcast() {
                Ok(response) => Ok(*response),
                Err(_) => Err(malformed("it is the result of a view").into()),
            },
            Ok(Answer::Other(mut value)) => {
                // A query that fails in the contract is a result that has an error in it.
                if let Some(error) = value.get_mut("error") {
                    self.url.scrub_json(error);
                }
                M::parse_handler_response(value)
                    .map_err(|error| malformed(&with_causes(&error)))?
                    .map_err(CallError::Handler)
            }
            Err(error) => Err(self.rpc_error(method, error)),
        }
    }

    /// What the node answers.
    async fn post(
        &self,
        method: &str,
        id: u64,
        body: String,
        timeout: Duration,
    ) -> Result<Result<Answer, RpcError>, ChainError> {
        let failed = |source: TransportError| ChainError::Transport {
            method: method.into(),
            url: self.url.clone(),
            source,
        };
        let url = self.url.secret().map_err(|source| ChainError::NodeUrl { source })?;
        let request = self.http.post(url.as_ref().clone()).timeout(timeout);
        let asked = SystemTime::now();
        let sent = request.header(CONTENT_TYPE, "application/json").body(body).send().await;
        let response = sent.map_err(|error| failed(error.into()))?;
        if let Some(ahead) = clock_ahead(response.headers(), asked, SystemTime::now()) {
            *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        if status == StatusCode::OK {
            let most = self.max_answer_bytes;
            let answer = read(response, most).await.map_err(|error| failed(error.into()))?;
            let answer = answer
                .ok_or_else(|| ChainError::TooLarge { method: method.into(), limit: most })?;
            if let Some(viewed) = view::parse(&answer, id) {
                return Ok(Ok(Answer::Viewed(Box::new(viewed))));
            }
            let parsed = self.parse(&answer, id).map(|answer| answer.map(Answer::Other));
            return parsed.map_err(|reason| failed(TransportError::NoRpc(reason)));
        }
        // Whatever cannot be read of it, the status alone says enough.
        let answer = read(response, MOST_ERROR_BYTES).await.ok().flatten().unwrap_or_default();
        if let Ok(Err(error)) = self.parse(&answer, id) {
            return Ok(Err(error));
        }
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS => failed(TransportError::RateLimited { retry_after }),
            StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => {
                failed(TransportError::RateLimited { retry_after })
            }
            // The same question would be refused again: a wrong key or path, or too much of it.
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PAYLOAD_TOO_LARGE => self.refused(method, status),
            status if status.is_redirection() => self.refused(method, status),
            status => failed(TransportError::Status(status)),
        })
    }

    fn refused(&self, method: &str, status: StatusCode) -> ChainError {
        ChainError::Refused {
            method: method.into(),
            reason: format!("{} answers with {}", self.url, TransportError::Status(status)),
        }
    }

    /// The response to the question `id`, or what was found in its place.
    fn parse(&self, answer: &[u8], id: u64) -> Result<Result<Value, RpcError>, String> {
        let found = |reason: String| clip(&self.url.scrub(&reason));
        if values(answer) > MOST_VALUES {
            return Err(format!("it has more than {MOST_VALUES} values"));
        }
        match message::from_slice(answer) {
            // A node that cannot read the question answers without its id.
            Ok(Message::Response(response))
                if response.id == id || (response.id.is_null() && response.result.is_err()) =>
            {
                Ok(response.result)
            }
            Ok(Message::Response(response)) => {
                Err(found(format!("it answers question {}, not {id}", response.id)))
            }
            Ok(_) => Err("it is another kind of message".to_owned()),
            Err(_) if answer.is_empty() => Err("it is empty".to_owned()),
            Err(_) => {
                // Cut after it is scrubbed, so that no part of a secret is left at the end.
                let start = answer.get(..MOST_ERROR_BYTES).unwrap_or(answer);
                let start = self.url.scrub(&String::from_utf8_lossy(start));
                let start: String = start.chars().take(200).collect();
                Err(clip(&format!("it begins with {start:?}")))
            }
        }
    }

    fn rpc_error<E: RpcHandlerError + Display>(
        &self,
        method: &str,
        error: RpcError,
    ) -> CallError<E> {
        let method = method.to_owned();
        let malformed = |reason: &str| {
            let (method, reason) = (method.clone(), clip(&self.url.scrub(reason)));
            CallError::Chain(ChainError::Malformed { method, reason })
        };
        let said = serde_json::to_value(&error).unwrap_or_default();
        let mut readable = said.clone();
        self.url.scrub_json(&mut readable);
        // Some nodes send an empty `info` with errors that have none, which the types do not take.
        if let Some(cause) = readable.get_mut("cause").and_then(Value::as_object_mut)
            && cause.get("info").is_some_and(|info| *info == Value::Object(Map::new()))
        {
            cause.remove("info");
        }
        let error = if readable == said {
            error
        } else {
            match serde_json::from_value(readable) {
                Ok(error) => error,
                Err(_) => return malformed(&error.to_string()),
            }
        };
        let reason = clip(&error.message);
        match JsonRpcError::from(error) {
            JsonRpcError::ServerError(JsonRpcServerError::HandlerError(error)) => {
                CallError::Handler(error)
            }
            JsonRpcError::ServerError(JsonRpcServerError::InternalError { info }) => {
                let reason = clip(&info.unwrap_or_default());
                CallError::Chain(ChainError::Busy { method, reason })
            }
            JsonRpcError::ServerError(JsonRpcServerError::RequestValidationError(found)) => {
                let reason = clip(&format!("{reason}: {found:?}"));
                CallError::Chain(ChainError::Refused { method, reason })
            }
            other => malformed(&other.to_string()),
        }
    }
}

/// Whether a URL leads to this machine without TLS.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    url.scheme() == "http" && (is_loopback || host == "localhost")
}

/// What a node answers.
enum Answer {
    /// The result of a view.
    Viewed(Box<RpcQueryResponse>),
    Other(Value),
}

/// How many values a JSON text has at the most: one more than it has separators.
fn values(text: &[u8]) -> usize {
    let (mut count, mut in_string, mut is_escaped) = (1usize, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b',' | b':' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// The body of a response, or `None` when it is longer than `most` bytes.
async fn read(mut response: Response, most: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).unwrap_or(usize::MAX) > most {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(received) = response.chunk().await? {
        if received.len() > most - body.len() {
            return Ok(None);
        }
        body.extend_from_slice(&received);
    }
    Ok(Some(body))
}

/// How many seconds this machine's clock is ahead of the date of an answer, for which it was waited
/// from `asked` until `answered`, at the least.
fn clock_ahead(headers: &HeaderMap, asked: SystemTime, answered: SystemTime) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    // The date leaves out the part of a second.
    let latest = date + Duration::from_secs(1);
    Some(match (asked.duration_since(latest), date.duration_since(answered)) {
        (Ok(ahead), _) => seconds(ahead),
        (_, Ok(behind)) => -seconds(behind),
        _ => 0,
    })
}

/// For how long the server wants to be left alone. A date, the other form of it, is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MOST_RETRY_AFTER)))
}

#[cfg(test)]
mod tests;
