//! The URLs of exchanges, in the one form in which they are sent and hashed.

use std::fmt;

use super::MAX_URL_BYTES;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP without encryption, which is for development.
    Http,
}

impl Scheme {
    /// The port where none is named.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// As a URL begins.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// The parts of a URL. Nothing in it is decoded or normalised: it has its usual form already, or it
/// is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// How the server is spoken to.
    pub scheme: Scheme,
    /// The name or IPv4 address of the server, in small letters.
    pub host: &'a str,
    /// The server's port.
    pub port: u16,
    /// The path, which begins with `/`, and the query.
    pub path: &'a str,
}

/// A URL that no exchange can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is too long.
    #[error("the URL has {found} bytes, expected at most {MAX_URL_BYTES}")]
    Bytes {
        /// Its length, bytes.
        found: usize,
    },
    /// It begins in another way than with a scheme.
    #[error("the URL begins with neither https:// nor http://")]
    Scheme,
    /// What follows the scheme is no host in small letters with or without a port.
    #[error("the URL names no host in small letters, with or without a port")]
    Host,
    /// Path or query hold what may not stand there.
    #[error(
        "the path of the URL does not begin with /, or holds a fragment, `.` or `..` as a part, or \
         a character that must be encoded"
    )]
    Path,
}

impl<'a> Url<'a> {
    /// The parts of `url`.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(url: &'a str) -> Result<Self, UrlError> {
        if url.len() > MAX_URL_BYTES {
            return Err(UrlError::Bytes { found: url.len() });
        }
        let (scheme, rest) = if let Some(rest) = url.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = url.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            return Err(UrlError::Scheme);
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.is_empty() { "/" } else { path };
        let url = Self::of_authority(scheme, authority, path).ok_or(UrlError::Host)?;
        if !is_host(url.host) {
            return Err(UrlError::Host);
        }
        if !path.starts_with('/') || !path.bytes().all(is_plain) || has_dots(path) {
            return Err(UrlError::Path);
        }
        Ok(url)
    }

    /// The URL of this path at a host with or without a port. Neither host nor path are checked.
    pub(super) fn of_authority(scheme: Scheme, authority: &'a str, path: &'a str) -> Option<Self> {
        let Some(end) = authority.bytes().position(|byte| byte == b':') else {
            return Some(Self { scheme, host: authority, port: scheme.default_port(), path });
        };
        let (host, digits) = authority.split_at_checked(end)?;
        let port = digits.bytes().skip(1).try_fold(0u16, |port, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            port.checked_mul(10)?.checked_add(digit.into())
        });
        Some(Self { scheme, host, port: port.filter(|port| *port > 0)?, path })
    }
}

/// The port is named only where it is not the usual one.
impl fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(self.path)
    }
}

/// Whether a character may stand in a path or query as it is: those of RFC 3986, but for `'`, which
/// is encoded in queries.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&()*+,;=:@/?%".contains(&byte)
}

/// Whether a path has a part that leads to itself or up, which whoever sends it would resolve.
fn has_dots(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    path.split('/').any(|part| {
        let part = part.replace("%2e", ".").replace("%2E", ".");
        part == "." || part == ".."
    })
}

/// Whether a text is a name of DNS, or an IPv4 address: labels of small letters, digits, `-` and
/// `_`, which stand neither first nor last where it is a hyphen.
pub(super) fn is_host(text: &str) -> bool {
    text.len() <= 253
        && text.as_bytes().split(|byte| *byte == b'.').all(|label| {
            let is_plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
            let ends = [label.first(), label.last()];
            label.len() <= 63
                && label.iter().all(is_plain)
                && ends.iter().all(|end| end.is_some_and(|end| *end != b'-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_form() {
        for (url, canonical) in [
            ("https://a.example", "https://a.example/"),
            ("https://a.example:443/x?y=1", "https://a.example/x?y=1"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
            ("http://localhost:80/a..b/%20?c=../d", "http://localhost/a..b/%20?c=../d"),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(parsed.to_string(), canonical);
            assert_eq!(Url::parse(canonical), Ok(parsed));
        }
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for (url, error) in [
            ("ftp://a.example/", UrlError::Scheme),
            ("//a.example/", UrlError::Scheme),
            ("HTTPS://a.example/", UrlError::Scheme),
            ("https://", UrlError::Host),
            ("https://A.example/", UrlError::Host),
            ("https://user@a.example/", UrlError::Host),
            ("https://user:1@a.example/", UrlError::Host),
            ("https://a.example:/", UrlError::Host),
            ("https://a.example:+1/", UrlError::Host),
            ("https://a.example:65536/", UrlError::Host),
            ("https://[::1]/", UrlError::Host),
            ("https://a.example\\@b.example/", UrlError::Host),
            ("https://*.example/", UrlError::Host),
            ("https://a.example?x", UrlError::Path),
            ("https://a.example/#x", UrlError::Path),
            ("https://a.example/ x", UrlError::Path),
            ("https://a.example/\r\nHost: b", UrlError::Path),
            ("https://a.example/ä", UrlError::Path),
            ("https://a.example/a/../b", UrlError::Path),
            ("https://a.example/%2e%2E/", UrlError::Path),
            ("https://a.example/.", UrlError::Path),
            ("https://a.example/\"", UrlError::Path),
            ("https://a.example/?'", UrlError::Path),
            ("https://a.example/\\", UrlError::Path),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url}");
        }
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(Url::parse(&long), Err(UrlError::Bytes { found: long.len() }));
    }
}
