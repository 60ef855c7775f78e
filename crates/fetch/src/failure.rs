//! What an exchange without an answer is taken for.

use std::error::Error;

use outlayer_protocol::http::ExchangeError;

use crate::UrlError;

/// The error of the exchange that `error` amounts to.
pub(crate) fn of(error: &reqwest::Error) -> ExchangeError {
    if let Some(url) = cause::<UrlError>(error) {
        return match url {
            UrlError::Private { .. } | UrlError::NoPublicAddress { .. } => {
                ExchangeError::PrivateAddress
            }
            UrlError::Invalid(_) | UrlError::Scheme { .. } | UrlError::Unresolved { .. } => {
                ExchangeError::Unresolved
            }
        };
    }
    if cause::<rustls::Error>(error).is_some() {
        ExchangeError::Tls
    } else if error.is_timeout() {
        ExchangeError::TimedOut
    } else if error.is_connect() {
        ExchangeError::Unreachable
    } else {
        ExchangeError::Protocol
    }
}

/// Whether this machine's own network may be the reason.
pub(crate) fn may_be_ours(error: ExchangeError) -> bool {
    matches!(
        error,
        ExchangeError::Unresolved | ExchangeError::Unreachable | ExchangeError::TimedOut
    )
}

/// The first cause of a type. What an I/O error wraps is not among its sources, so it is looked
/// into.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
