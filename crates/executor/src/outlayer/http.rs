//! Requests and responses of HTTP in a component's terms, as `outlayer:host/http` has them.

use outlayer_guest::http::Refusal;
use outlayer_protocol::{
    Bytes,
    http::{ExchangeError, HttpRequest, HttpResponse},
};
use wasmtime::component::{ComponentType, Lift, Lower};

/// A request.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl From<HttpRequest> for Request {
    fn from(request: HttpRequest) -> Self {
        let HttpRequest { method, url, headers, body } = request;
        Self { method, url, headers: texts(headers), body: body.0 }
    }
}

impl From<Request> for HttpRequest {
    fn from(request: Request) -> Self {
        let Request { method, url, headers, body } = request;
        Self { method, url, headers: bytes(headers), body: Bytes(body) }
    }
}

/// A response.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl From<HttpResponse> for Response {
    fn from(response: HttpResponse) -> Self {
        let HttpResponse { status, headers, body } = response;
        Self { status, headers: texts(headers), body: body.0 }
    }
}

impl From<Response> for HttpResponse {
    fn from(response: Response) -> Self {
        let Response { status, headers, body } = response;
        Self { status, headers: bytes(headers), body: Bytes(body) }
    }
}

fn texts(headers: Vec<(String, Bytes)>) -> Vec<(String, Vec<u8>)> {
    headers.into_iter().map(|(name, value)| (name, value.0)).collect()
}

fn bytes(headers: Vec<(String, Vec<u8>)>) -> Vec<(String, Bytes)> {
    headers.into_iter().map(|(name, value)| (name, Bytes(value))).collect()
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Error {
    #[component(name = "denied")]
    Denied,
    #[component(name = "invalid-url")]
    InvalidUrl,
    #[component(name = "url-too-long")]
    UrlTooLong,
    #[component(name = "invalid-method")]
    InvalidMethod,
    #[component(name = "invalid-header")]
    InvalidHeader,
    #[component(name = "headers-too-large")]
    HeadersTooLarge,
    #[component(name = "body-too-large")]
    BodyTooLarge,
    #[component(name = "too-many-exchanges")]
    TooManyExchanges,
    #[component(name = "no-room")]
    NoRoom,
    #[component(name = "unresolved")]
    Unresolved,
    #[component(name = "private-address")]
    PrivateAddress,
    #[component(name = "unreachable")]
    Unreachable,
    #[component(name = "tls")]
    Tls,
    #[component(name = "timed-out")]
    TimedOut,
    #[component(name = "protocol")]
    Protocol,
    #[component(name = "response-too-large")]
    ResponseTooLarge,
    #[component(name = "transform-failed")]
    TransformFailed,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied => Self::Denied,
            Refusal::Url => Self::InvalidUrl,
            Refusal::UrlBytes => Self::UrlTooLong,
            Refusal::Method => Self::InvalidMethod,
            Refusal::Header => Self::InvalidHeader,
            Refusal::HeaderBytes => Self::HeadersTooLarge,
            Refusal::BodyBytes => Self::BodyTooLarge,
            Refusal::TooMany => Self::TooManyExchanges,
            Refusal::NoRoom => Self::NoRoom,
        }
    }
}

impl From<ExchangeError> for Error {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unresolved => Self::Unresolved,
            ExchangeError::PrivateAddress => Self::PrivateAddress,
            ExchangeError::Unreachable => Self::Unreachable,
            ExchangeError::Tls => Self::Tls,
            ExchangeError::TimedOut => Self::TimedOut,
            ExchangeError::Protocol => Self::Protocol,
            ExchangeError::TooLarge => Self::ResponseTooLarge,
            ExchangeError::Transform => Self::TransformFailed,
        }
    }
}
