//! Which requests a guest may send over HTTP, and what is kept of an answer.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_protocol::{
    Bytes,
    http::{
        ExchangeError, HttpAccess, HttpRequest, HttpResponse, KEPT_HEADERS, MAX_FETCHED_BYTES,
        MAX_HEADER_BYTES, MAX_HEADERS, MAX_SENT_BYTES, MAX_URL_BYTES, Url, UrlError,
    },
};

/// The longest method, bytes.
const MAX_METHOD_BYTES: usize = 32;
/// More than the borsh encoding of any request that may be sent has, bytes.
pub const MAX_REQUEST_BYTES: u32 = MAX_SENT_BYTES + (16 << 10);

/// Headers that belong to the connection, and not to a request. A guest may not send them.
const FORBIDDEN_HEADERS: [&str; 12] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that a guest's library may set, and that the host sets itself: they are left out.
const OWN_HEADERS: [&str; 3] = ["content-length", "idempotency-key", "user-agent"];

/// Why an exchange is not made. It follows from what the guest asks and from what its request
/// allows, so it stands in no transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub enum Refusal {
    /// The request has no access to HTTP, or none to this host or with this method.
    #[error("the request does not permit it")]
    Denied,
    /// The URL is none that an exchange can have.
    #[error("the URL is invalid")]
    Url,
    /// The URL has more than [`MAX_URL_BYTES`].
    #[error("the URL has more than {MAX_URL_BYTES} bytes")]
    UrlBytes,
    /// The method is no name in capitals, or is `CONNECT` or `TRACE`.
    #[error("the method is no name in capitals, or is CONNECT or TRACE")]
    Method,
    /// A header has a name or a value that HTTP does not know, or belongs to the connection.
    #[error("a header is invalid, or belongs to the connection")]
    Header,
    /// There are more headers than [`MAX_HEADERS`], or longer ones than [`MAX_HEADER_BYTES`].
    #[error("there are more than {MAX_HEADERS} headers, or more than {MAX_HEADER_BYTES} bytes")]
    HeaderBytes,
    /// The body has more than [`MAX_SENT_BYTES`], or a `GET` or `HEAD` has one.
    #[error("the body has more than {MAX_SENT_BYTES} bytes, or the method takes none")]
    BodyBytes,
    /// All exchanges that the request allows have been made.
    #[error("the request allows no more exchanges")]
    TooMany,
    /// What is left of the transcript does not hold another exchange.
    #[error("the transcript has no room for another exchange")]
    NoRoom,
}

impl Refusal {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Denied,
        Self::Url,
        Self::UrlBytes,
        Self::Method,
        Self::Header,
        Self::HeaderBytes,
        Self::BodyBytes,
        Self::TooMany,
        Self::NoRoom,
    ];

    /// What a core module is answered: -1 for the first, -2 for the second, and so on.
    pub const fn code(self) -> i64 {
        -1 - self as i64
    }
}

/// The request as it is sent and hashed, if `access` permits it: with the URL in its one form,
/// header names in small letters, and without the headers that the host sets itself. A request that
/// was permitted once stays as it is.
///
/// # Errors
/// The [`Refusal`].
pub fn permitted(access: &HttpAccess, request: HttpRequest) -> Result<HttpRequest, Refusal> {
    let HttpRequest { method, url, headers, body } = request;
    let is_name = (1..=MAX_METHOD_BYTES).contains(&method.len())
        && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if !is_name || matches!(&*method, "CONNECT" | "TRACE") {
        return Err(Refusal::Method);
    }
    let url = Url::parse(&url).map_err(|error| match error {
        UrlError::Bytes { .. } => Refusal::UrlBytes,
        _ => Refusal::Url,
    })?;
    if !access.reaches(&url) || !access.allows(&method) {
        return Err(Refusal::Denied);
    }
    let url = url.to_string();
    if url.len() > MAX_URL_BYTES {
        return Err(Refusal::UrlBytes);
    }
    let headers = sent_headers(headers)?;
    let most = if matches!(&*method, "GET" | "HEAD") { 0 } else { MAX_SENT_BYTES as usize };
    if body.len() > most {
        return Err(Refusal::BodyBytes);
    }
    Ok(HttpRequest { method, url, headers, body })
}

fn sent_headers(headers: Vec<(String, Bytes)>) -> Result<Vec<(String, Bytes)>, Refusal> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(Refusal::HeaderBytes);
    }
    let mut sent = Vec::with_capacity(headers.len());
    for (mut name, value) in headers {
        name.make_ascii_lowercase();
        if !is_header_name(&name) || !is_header_value(&value) || is_forbidden(&name) {
            return Err(Refusal::Header);
        }
        if !OWN_HEADERS.contains(&&*name) {
            sent.push((name, value));
        }
    }
    Ok(sent)
}

/// Whether this is the name of a header: a token of HTTP.
pub fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether this is the value of a header: it holds no control characters but tabs.
pub fn is_header_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// Whether a header of this name belongs to the connection.
pub fn is_forbidden(name: &str) -> bool {
    FORBIDDEN_HEADERS.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

/// What is kept of an answer that the network gave, before the guest's transform sees it: the
/// headers that may be kept, by their names in small letters, sorted, the first of each name.
///
/// # Errors
/// [`ExchangeError::TooLarge`] when the body or these headers are too long, and
/// [`ExchangeError::Protocol`] when the status is none.
pub fn kept(response: HttpResponse) -> Result<HttpResponse, ExchangeError> {
    let HttpResponse { status, headers, body } = response;
    let mut kept: Vec<(String, Bytes)> = headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| KEPT_HEADERS.contains(&&**name))
        .collect();
    kept.sort_by(|(name, _), (next, _)| name.cmp(next));
    kept.dedup_by(|(next, _), (name, _)| next == name);
    let bytes: usize = kept.iter().map(|(name, value)| name.len() + value.len()).sum();
    if body.len() > MAX_FETCHED_BYTES as usize || bytes > MAX_HEADER_BYTES {
        return Err(ExchangeError::TooLarge);
    }
    let response = HttpResponse { status, headers: kept, body };
    if response.is_kept_form() { Ok(response) } else { Err(ExchangeError::Protocol) }
}

/// Whether a transcript may hold this answer: it has the [kept form](HttpResponse::is_kept_form),
/// and a body within bounds.
pub fn is_kept(response: &HttpResponse) -> bool {
    response.is_kept_form() && response.body.len() <= MAX_FETCHED_BYTES as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(repeatable: bool) -> HttpAccess {
        HttpAccess { repeatable, ..HttpAccess::to(vec!["a.example".to_owned()]) }
    }

    fn get(url: &str) -> HttpRequest {
        HttpRequest::get(url)
    }

    #[test]
    fn a_permitted_request_has_one_form_and_stays_as_it_is() {
        let asked = HttpRequest {
            headers: vec![
                ("Accept".to_owned(), "*/*".into()),
                ("User-Agent".to_owned(), "me".into()),
                ("content-length".to_owned(), "0".into()),
            ],
            ..get("https://a.example:443")
        };
        let sent = permitted(&access(false), asked).unwrap();
        assert_eq!(sent.url, "https://a.example/");
        assert_eq!(sent.headers, [("accept".to_owned(), Bytes::from("*/*"))]);
        assert_eq!(permitted(&access(false), sent.clone()), Ok(sent));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let refused = |change: &dyn Fn(&mut HttpRequest)| {
            let mut request =
                HttpRequest { method: "POST".to_owned(), ..get("https://a.example/") };
            change(&mut request);
            permitted(&access(true), request).err()
        };
        let header = |name: &str, value: &[u8]| {
            let header = (name.to_owned(), Bytes(value.to_vec()));
            refused(&move |request| request.headers = vec![header.clone()])
        };
        let url = |url: &str| refused(&|request| url.clone_into(&mut request.url));
        let method = |method: &str| refused(&|request| method.clone_into(&mut request.method));
        let body = |bytes: usize| refused(&|request| request.body = Bytes(vec![0; bytes]));
        assert_eq!(refused(&|_| {}), None);
        assert_eq!(url("https://b.example/"), Some(Refusal::Denied));
        assert_eq!(url("http://a.example/"), Some(Refusal::Denied));
        assert_eq!(url("a.example"), Some(Refusal::Url));
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(url(&long), Some(Refusal::UrlBytes));
        for name in ["", "post", "CONNECT", "TRACE", "A B", "GET\r\n"] {
            assert_eq!(method(name), Some(Refusal::Method), "{name:?}");
        }
        assert_eq!(body(MAX_SENT_BYTES as usize), None);
        assert_eq!(body(MAX_SENT_BYTES as usize + 1), Some(Refusal::BodyBytes));
        assert_eq!(header("x", b"\xc3\xa4 \t"), None);
        for (name, value) in [("", &b"x"[..]), ("a b", b""), ("x", b"\r\ny: z"), ("Host", b"b")] {
            assert_eq!(header(name, value), Some(Refusal::Header), "{name}");
        }
        assert_eq!(header("x", &[b'x'; MAX_HEADER_BYTES]), Some(Refusal::HeaderBytes));
        let many = vec![("x".to_owned(), Bytes::default()); MAX_HEADERS + 1];
        let many = refused(&move |request| request.headers.clone_from(&many));
        assert_eq!(many, Some(Refusal::HeaderBytes));
        let with_body = HttpRequest { body: "x".into(), ..get("https://a.example/") };
        assert_eq!(permitted(&access(true), with_body), Err(Refusal::BodyBytes));
        let post = HttpRequest { method: "POST".to_owned(), ..get("https://a.example/") };
        assert_eq!(permitted(&access(false), post), Err(Refusal::Denied));
        let codes: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes, (1..=9).map(|code| -code).collect::<Vec<i64>>());
    }

    #[test]
    fn no_permitted_request_is_longer_than_what_is_read() {
        let mut request = HttpRequest { method: "P".repeat(32), ..get("https://a.example/") };
        request.url.push_str(&"x".repeat(MAX_URL_BYTES - request.url.len()));
        request.body = Bytes(vec![0; MAX_SENT_BYTES as usize]);
        let value = Bytes(vec![b'x'; MAX_HEADER_BYTES / MAX_HEADERS - 1]);
        request.headers = vec![("h".to_owned(), value); MAX_HEADERS];
        let sent = permitted(&access(true), request).unwrap();
        assert!(borsh::to_vec(&sent).unwrap().len() <= MAX_REQUEST_BYTES as usize);
    }

    #[test]
    fn of_an_answer_known_headers_are_kept_in_order() {
        let answer = |status, body: usize| HttpResponse {
            status,
            headers: [("ETag", "1"), ("Set-Cookie", "x"), ("Content-Type", "a"), ("etag", "2")]
                .map(|(name, value)| (name.to_owned(), Bytes::from(value)))
                .to_vec(),
            body: Bytes(vec![b'x'; body]),
        };
        let of = kept(answer(200, 1)).unwrap();
        let headers = [("content-type", "a"), ("etag", "1")];
        assert_eq!(of.headers, headers.map(|(n, v)| (n.to_owned(), Bytes::from(v))));
        assert_eq!(kept(of.clone()), Ok(of));
        assert!(kept(answer(200, MAX_FETCHED_BYTES as usize)).is_ok());
        let too_large = kept(answer(200, MAX_FETCHED_BYTES as usize + 1));
        assert_eq!(too_large, Err(ExchangeError::TooLarge));
        assert_eq!(kept(answer(1_000, 0)), Err(ExchangeError::Protocol));
    }
}
