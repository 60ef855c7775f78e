//! HTTP, within what the request to OutLayer allows.
//!
//! A guest reaches the hosts that its request lists, over HTTPS, as often as its request says. What
//! it is answered goes into the transcript that comes with its result, so anyone can repeat the
//! execution. Methods other than `GET` and `HEAD` are sent only where the request is `repeatable`,
//! because each worker sends them.
//!
//! ```no_run
//! use outlayer_sdk::http;
//!
//! let response = http::get("https://api.example.com/price?of=near")?;
//! assert_eq!(response.status, 200);
//! println!("{}", response.text().unwrap_or_default());
//! # Ok::<(), http::Error>(())
//! ```
//!
//! # Answers that differ
//!
//! Workers that execute the same request are answered at different moments, and have to agree. So a
//! guest may have a transform, which reduces each answer before it enters the transcript: it picks
//! a field, rounds, or sorts. [`transform!`](crate::transform) exports it.
//!
//! A transform runs in an instance of its own, in which `main` does not run, and calls nothing of
//! this crate but the functions of this module's types.

#[cfg(any(test, all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2")))))]
pub(crate) mod encoding;

use std::fmt;

use crate::host;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// `https://`, the host in small letters, and the path with its query.
    pub url: String,
    /// Names and values of headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    redirects: u32,
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names, in small letters, and values of the headers that are kept: `cache-control`,
    /// `content-encoding`, `content-language`, `content-type`, `etag`, `last-modified`, `location`,
    /// `retry-after`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The request to OutLayer does not permit this host or this method, or no HTTP at all.
    Denied,
    /// The URL is invalid.
    InvalidUrl,
    /// The URL is too long.
    UrlTooLong,
    /// The method is no name in capitals, or one that is never sent.
    InvalidMethod,
    /// A header is invalid, or belongs to the connection.
    InvalidHeader,
    /// The headers are too many or too long.
    HeadersTooLarge,
    /// The body is too long, or the method takes none.
    BodyTooLarge,
    /// The request to OutLayer allows no more exchanges.
    TooManyExchanges,
    /// The transcript has no room for another exchange.
    NoRoom,
    /// The name of the host has no address.
    Unresolved,
    /// The host is not on the public internet.
    PrivateAddress,
    /// The host does not take the connection.
    Unreachable,
    /// The host cannot be spoken to over TLS.
    Tls,
    /// There was no response in time.
    TimedOut,
    /// The host broke off, or did not answer in HTTP.
    Protocol,
    /// The response is too long, or does not fit into the transcript.
    ResponseTooLarge,
    /// The guest's transform failed.
    TransformFailed,
    /// There were more redirects than are [followed](Request::follow), or one without a target.
    Redirects,
}

impl Error {
    /// The errors that the host knows, in its order: those with which nothing is sent, and the
    /// others.
    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
    pub(crate) const OF_HOST: [Self; 17] = [
        Self::Denied,
        Self::InvalidUrl,
        Self::UrlTooLong,
        Self::InvalidMethod,
        Self::InvalidHeader,
        Self::HeadersTooLarge,
        Self::BodyTooLarge,
        Self::TooManyExchanges,
        Self::NoRoom,
        Self::Unresolved,
        Self::PrivateAddress,
        Self::Unreachable,
        Self::Tls,
        Self::TimedOut,
        Self::Protocol,
        Self::ResponseTooLarge,
        Self::TransformFailed,
    ];
    /// How many of them are those with which nothing is sent.
    #[cfg(any(
        test,
        all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2")))
    ))]
    pub(crate) const UNSENT: usize = 9;
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "the request to OutLayer does not permit it",
            Self::InvalidUrl => "the URL is invalid",
            Self::UrlTooLong => "the URL is too long",
            Self::InvalidMethod => "the method is invalid",
            Self::InvalidHeader => "a header is invalid",
            Self::HeadersTooLarge => "the headers are too many or too long",
            Self::BodyTooLarge => "the body is too long, or the method takes none",
            Self::TooManyExchanges => "the request to OutLayer allows no more exchanges",
            Self::NoRoom => "the transcript has no room for another exchange",
            Self::Unresolved => "the name of the host has no address",
            Self::PrivateAddress => "the host is not on the public internet",
            Self::Unreachable => "the host does not take the connection",
            Self::Tls => "the host cannot be spoken to over TLS",
            Self::TimedOut => "there was no response in time",
            Self::Protocol => "the host broke off, or did not answer in HTTP",
            Self::ResponseTooLarge => "the response is too large",
            Self::TransformFailed => "the transform failed",
            Self::Redirects => "there were too many redirects, or one without a target",
        })
    }
}

impl std::error::Error for Error {}

/// Gets a URL.
///
/// # Errors
/// [`Error`] when there is no response. A status of 400 or above is a response.
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::get(url).send()
}

impl Request {
    /// A `GET` of a URL.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A request with this method, without headers and body.
    #[must_use]
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            redirects: 0,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Follows up to so many redirects. Each is an exchange, to a host that the request to OutLayer
    /// lists. Without this, a redirect is a response.
    #[must_use]
    pub fn follow(mut self, redirects: u32) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sends the request, and waits for the response.
    ///
    /// # Errors
    /// [`Error`] when there is no response. A status of 400 or above is a response.
    pub fn send(mut self) -> Result<Response, Error> {
        let follows = self.redirects > 0;
        loop {
            let response = host::http_fetch(&self)?;
            if !follows || !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            self.redirects = self.redirects.checked_sub(1).ok_or(Error::Redirects)?;
            let target = response.header("location").and_then(|to| std::str::from_utf8(to).ok());
            let next = resolved(&self.url, target.ok_or(Error::Redirects)?);
            if origin(&next) != origin(&self.url) {
                // What is meant for one server is not for another.
                self.headers.retain(|(name, _)| {
                    !CREDENTIALS.iter().any(|one| name.eq_ignore_ascii_case(one))
                });
            }
            self.url = next;
            let is_safe = matches!(&*self.method, "GET" | "HEAD");
            if !is_safe && response.status <= 303 {
                "GET".clone_into(&mut self.method);
                self.body.clear();
            }
        }
    }
}

/// Headers that do not follow a redirect to another server.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?']).map_or(url.len(), |at| host + at);
    &url[..end]
}

/// Where a redirect from `base` to `target` leads.
fn resolved(base: &str, target: &str) -> String {
    let target = target.split('#').next().unwrap_or_default();
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if target.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return target.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    if let Some(target) = target.strip_prefix("//") {
        return format!("{scheme}://{target}");
    }
    let (host, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    if target.starts_with('/') {
        return format!("{scheme}://{host}{target}");
    }
    let path = path.split('?').next().unwrap_or_default();
    if target.starts_with('?') {
        return format!("{scheme}://{host}{path}{target}");
    }
    let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
    format!("{scheme}://{host}{folder}{target}")
}

impl Response {
    /// The value of a header, by its name in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| &value[..])
    }

    /// The body as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// Whether the status is one of success: 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Exports a function as the guest's transform: `fn(Request, Response) -> Option<Response>`. It is
/// given the headers that are kept, and answers with headers of these names, sorted, each once.
/// `None` makes the exchange fail with [`Error::TransformFailed`](crate::http::Error).
///
/// ```
/// use outlayer_sdk::http::{Request, Response};
///
/// /// Keeps the whole number before the point.
/// fn whole(_: Request, response: Response) -> Option<Response> {
///     let whole = response.text()?.split('.').next()?.to_owned();
///     Some(Response { status: response.status, headers: Vec::new(), body: whole.into() })
/// }
///
/// outlayer_sdk::transform!(whole);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! transform {
    ($transform:path) => {
        #[allow(unsafe_code)]
        const _: () = {
            const TRANSFORM: $crate::http::Transform = $transform;
            // On other targets than Wasm nothing else uses it.
            const _: $crate::http::Transform = TRANSFORM;
            $crate::export_transform!(TRANSFORM);
        };
    };
}

/// What a transform is.
#[doc(hidden)]
pub type Transform = fn(Request, Response) -> Option<Response>;

/// Exports a transform as modules do.
#[doc(hidden)]
#[cfg(not(any(feature = "component", target_env = "p2")))]
#[macro_export]
macro_rules! export_transform {
    ($transform:path) => {
        #[cfg(target_arch = "wasm32")]
        #[unsafe(export_name = "outlayer_alloc")]
        extern "C" fn alloc(length: usize) -> *mut u8 {
            $crate::http::exported::alloc(length)
        }

        #[cfg(target_arch = "wasm32")]
        #[unsafe(export_name = "outlayer_transform")]
        unsafe extern "C" fn transform(given: *mut u8, length: usize) -> u64 {
            // SAFETY: the host passes what `alloc` has returned for this length.
            unsafe { $crate::http::exported::transform(given, length, $transform) }
        }
    };
}

/// Exports a transform as a guest does that becomes a component.
#[doc(hidden)]
#[cfg(any(feature = "component", target_env = "p2"))]
#[macro_export]
macro_rules! export_transform {
    ($transform:path) => {
        #[cfg(target_arch = "wasm32")]
        #[unsafe(link_section = "component-type:outlayer:host@0.1.0:transforming-guest")]
        #[used]
        static COMPONENT_TYPE: [u8; $crate::http::exported::COMPONENT_TYPE.len()] =
            $crate::http::exported::COMPONENT_TYPE;

        #[cfg(target_arch = "wasm32")]
        #[allow(clippy::too_many_arguments)]
        #[unsafe(export_name = "outlayer:host/transform@0.1.0#transform")]
        unsafe extern "C" fn transform(
            a: usize,
            b: usize,
            c: usize,
            d: usize,
            e: usize,
            f: usize,
            g: usize,
            h: usize,
            status: usize,
            i: usize,
            j: usize,
            k: usize,
            l: usize,
        ) -> *const u8 {
            let lists = [[a, b], [c, d], [e, f], [g, h], [i, j], [k, l]];
            // SAFETY: the host passes what the canonical ABI says.
            unsafe { $crate::http::exported::transform(lists, status, $transform) }
        }
    };
}

/// What [`transform!`](crate::transform) exports.
#[doc(hidden)]
#[cfg(target_arch = "wasm32")]
pub mod exported {
    #[cfg(any(feature = "component", target_env = "p2"))]
    pub use crate::host::{TRANSFORM_TYPE as COMPONENT_TYPE, transform};
    #[cfg(not(any(feature = "component", target_env = "p2")))]
    pub use crate::host::{alloc, transform};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn what_is_encoded_is_decoded() {
        let asked = Request::new("POST", "https://a.example/").header("x", b"y").body("body");
        let answer = Response {
            status: 404,
            headers: vec![("etag".to_owned(), b"1".to_vec())],
            body: b"none".to_vec(),
        };
        let encoded = encoding::response(&answer);
        let given = [encoding::request(&asked), encoded.clone()].concat();
        assert_eq!(encoding::given(&given), Some((asked, answer.clone())));
        assert_eq!(encoding::given(&given[1..]), None);
        assert_eq!(encoding::answered(&[&[0][..], &encoded].concat()), Ok(answer));
        for (place, error) in [(0, Error::Unresolved), (7, Error::TransformFailed)] {
            assert_eq!(encoding::answered(&[1, place]), Err(error));
        }
        assert_eq!(encoding::answered(&[0, 1]), Err(Error::Protocol));
    }

    #[test]
    fn a_redirect_leads_to_where_it_says() {
        for (target, expected) in [
            ("https://b.example/x#y", "https://b.example/x"),
            ("//b.example/x", "https://b.example/x"),
            ("/x?y", "https://a.example/x?y"),
            ("x", "https://a.example/p/x"),
            ("/login?next=https://b.example/", "https://a.example/login?next=https://b.example/"),
            ("?y", "https://a.example/p/q?y"),
        ] {
            assert_eq!(resolved("https://a.example/p/q?r", target), expected);
        }
        assert_eq!(resolved("https://a.example", "x"), "https://a.example/x");
        assert_eq!(origin("https://a.example:1/x?y"), "https://a.example:1");
        assert_eq!(origin("https://a.example"), "https://a.example");
    }

    #[test]
    fn redirects_are_followed_as_often_as_asked() {
        let to = |url: &str| Response {
            status: 302,
            headers: vec![("location".to_owned(), url.into())],
            body: Vec::new(),
        };
        let end = Response { status: 200, ..Response::default() };
        testing::respond("https://a.example/1", Ok(to("/2")));
        testing::respond("https://a.example/2", Ok(to("https://a.example/3")));
        testing::respond("https://a.example/3", Ok(end.clone()));
        let first = || Request::get("https://a.example/1");
        assert_eq!(first().send(), Ok(to("/2")));
        assert_eq!(first().follow(2).send(), Ok(end));
        assert_eq!(first().follow(1).send(), Err(Error::Redirects));
        assert_eq!(get("https://b.example/"), Err(Error::Denied));
        let asked: Vec<_> = testing::requests().into_iter().map(|request| request.url).collect();
        assert_eq!(asked.len(), 1 + 3 + 2 + 1);
    }
}
