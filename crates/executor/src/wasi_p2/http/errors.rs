//! The errors of `wasi:http` that a guest is told.

use outlayer_guest::http::Refusal;
use outlayer_protocol::http::ExchangeError;
use wasmtime_wasi_http::p2::bindings::http::types::{DnsErrorPayload, ErrorCode};

/// Why an exchange is not made.
pub(super) fn of_refusal(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::Denied => ErrorCode::HttpRequestDenied,
        Refusal::Url => ErrorCode::HttpRequestUriInvalid,
        Refusal::UrlBytes => ErrorCode::HttpRequestUriTooLong,
        Refusal::Method => ErrorCode::HttpRequestMethodInvalid,
        Refusal::Header => ErrorCode::HttpRequestHeaderSize(None),
        Refusal::HeaderBytes => ErrorCode::HttpRequestHeaderSectionSize(None),
        Refusal::BodyBytes => ErrorCode::HttpRequestBodySize(None),
        Refusal::TooMany | Refusal::NoRoom => ErrorCode::InternalError(Some(refusal.to_string())),
    }
}

/// Why an exchange has no answer.
pub(super) fn of_exchange(error: ExchangeError) -> ErrorCode {
    match error {
        ExchangeError::Unresolved => {
            ErrorCode::DnsError(DnsErrorPayload { rcode: None, info_code: None })
        }
        ExchangeError::PrivateAddress => ErrorCode::DestinationIpProhibited,
        ExchangeError::Unreachable => ErrorCode::ConnectionRefused,
        ExchangeError::Tls => ErrorCode::TlsProtocolError,
        ExchangeError::TimedOut => ErrorCode::HttpResponseTimeout,
        ExchangeError::Protocol => ErrorCode::HttpProtocolError,
        ExchangeError::TooLarge => ErrorCode::HttpResponseBodySize(None),
        ExchangeError::Transform => ErrorCode::InternalError(Some(error.to_string())),
    }
}
