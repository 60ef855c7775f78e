//! What a request may reach over HTTP.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::{Quoted, ToJson};
use serde::Serialize;

use super::url::{Scheme, Url, is_host};
use crate::object::read_by_fields;

/// The most hosts that a request may list.
pub const MAX_HOSTS: u32 = 16;
/// The longest host with its port, bytes.
pub const MAX_HOST_BYTES: u32 = 260;

/// Bytes of the hosts of a request, at most.
pub const MOST_HOSTS_BYTES: u32 = MAX_HOSTS * MAX_HOST_BYTES;

/// What a request may reach over HTTP, and how much of it. In JSON only `hosts` must be given.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, ToJson)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(BorshSerialize, BorshDeserialize, Serialize)]
pub struct HttpAccess {
    /// The hosts: `api.example.com` is reached over HTTPS at port 443, `api.example.com:8443` at
    /// that port, and `*.example.com` stands for every name below `example.com`, but not for
    /// itself. `http://localhost:8080` and `http://127.0.0.1:8080` are reached without encryption,
    /// by a worker that is set up for development. Letters are small.
    pub hosts: Vec<String>,
    /// The most exchanges. The request pays for all of them, whether they are made or not.
    pub max_exchanges: u32,
    /// The most bytes of the encoded [`Transcript`](super::Transcript).
    pub max_bytes: u32,
    /// How long a worker waits for all exchanges together, milliseconds.
    pub max_ms: u32,
    /// Whether every exchange may be made several times, by each worker that executes the request.
    /// Otherwise only `GET` and `HEAD` are sent.
    pub repeatable: bool,
}

read_by_fields! {
    HttpAccess = Self::to(Vec::new()),
    only: true,
    required: { hosts: Texts, },
    optional: {
        max_exchanges: U32,
        max_bytes: U32,
        max_ms: U32,
        repeatable: Bool,
    }
}

/// The numbers of a request's [`HttpAccess`]: all are 0 where it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpLimits {
    /// The most exchanges.
    pub exchanges: u32,
    /// The most bytes of the encoded transcript.
    pub bytes: u32,
    /// How long a worker waits for all exchanges together, milliseconds.
    pub ms: u32,
}

impl From<Option<&HttpAccess>> for HttpLimits {
    fn from(access: Option<&HttpAccess>) -> Self {
        access.map_or_else(Self::default, |access| Self {
            exchanges: access.max_exchanges,
            bytes: access.max_bytes,
            ms: access.max_ms,
        })
    }
}

impl HttpLimits {
    /// How long a worker waits for all exchanges together, nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.ms as u64 * 1_000_000
    }
}

/// A host in a request's list that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There are none, or too many.
    #[error("{found} hosts are listed, expected 1 to {MAX_HOSTS}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// One is not a host.
    #[error(
        "{} is no host: expected a name in small letters with or without a port, \
         *.name, or http://localhost or http://127.0.0.1 with or without a port",
        Quoted(.found)
    )]
    Host {
        /// The first 80 characters.
        found: String,
    },
}

impl HttpAccess {
    /// Access to these hosts: one exchange, 4 KiB of transcript, 10 seconds.
    pub fn to(hosts: Vec<String>) -> Self {
        Self { hosts, max_exchanges: 1, max_bytes: 4 << 10, max_ms: 10_000, repeatable: false }
    }

    /// Bytes of all hosts.
    pub fn text_bytes(&self) -> u64 {
        self.hosts.iter().map(|host| host.len() as u64).sum()
    }

    /// Checks the list of hosts.
    ///
    /// # Errors
    /// The first [`HostError`] found.
    pub fn check_hosts(&self) -> Result<(), HostError> {
        let found = self.hosts.len();
        if found == 0 || found > MAX_HOSTS as usize {
            return Err(HostError::Count { found });
        }
        match self.hosts.iter().find(|host| parse(host).is_none()) {
            Some(host) => Err(HostError::Host { found: host.chars().take(80).collect() }),
            None => Ok(()),
        }
    }

    /// Whether one of the hosts is that of `url`, with its scheme and port.
    pub fn reaches(&self, url: &Url<'_>) -> bool {
        self.hosts.iter().filter_map(|host| parse(host)).any(|listed| {
            let is_host = match listed.host.strip_prefix('*') {
                // `.example.com` after something.
                Some(ending) => url.host.len() > ending.len() && url.host.ends_with(ending),
                None => listed.host == url.host,
            };
            is_host && (listed.scheme, listed.port) == (url.scheme, url.port)
        })
    }

    /// Whether a request with this method may be sent.
    pub fn allows(&self, method: &str) -> bool {
        self.repeatable || matches!(method, "GET" | "HEAD")
    }
}

/// A host of the list, whose name may begin with `*.`.
fn parse(host: &str) -> Option<Url<'_>> {
    if host.len() > MAX_HOST_BYTES as usize {
        return None;
    }
    let (scheme, authority) = match host.strip_prefix("http://") {
        Some(authority) => (Scheme::Http, authority),
        None => (Scheme::Https, host),
    };
    let url = Url::of_authority(scheme, authority, "/")?;
    let name = url.host.strip_prefix("*.").unwrap_or(url.host);
    let loopback = matches!(url.host, "localhost" | "127.0.0.1");
    (is_host(name) && (scheme == Scheme::Https || loopback)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(hosts: &[&str]) -> HttpAccess {
        HttpAccess::to(hosts.iter().map(|&host| host.to_owned()).collect())
    }

    #[test]
    fn a_host_is_reached_with_its_port_and_scheme_alone() {
        let access = access(&[
            "api.example.com",
            "*.example.org",
            "other.example:8443",
            "http://127.0.0.1:80",
            "http://localhost:3000",
        ]);
        assert_eq!(access.check_hosts(), Ok(()));
        let reaches = |url: &str| access.reaches(&Url::parse(url).unwrap());
        for url in [
            "https://api.example.com/prices?of=near",
            "https://api.example.com:443/",
            "https://API.example.com/".to_lowercase().as_str(),
            "https://a.example.org/",
            "https://a.b.example.org/",
            "https://other.example:8443/",
            "http://127.0.0.1/",
            "http://localhost:3000/x",
        ] {
            assert!(reaches(url), "{url}");
        }
        for url in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://example.com/",
            "https://xapi.example.com/",
            "https://example.org/",
            "https://xexample.org/",
            "https://other.example/",
            "https://127.0.0.1/",
            "http://127.0.0.1:8080/",
            "http://localhost/",
        ] {
            assert!(!reaches(url), "{url}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            "",
            "*",
            "*.",
            "*.*.com",
            "a.*.com",
            "https://a.example",
            "http://a.example",
            "http://*.localhost",
            "a.example/path",
            "a.example:0",
            "a.example:65536",
            "a.example:",
            "user@a.example",
            "A.example",
            "a..example",
            ".a",
            "a.",
            "-a.example",
            "a example",
            "[::1]",
            "a\n",
            "ä.example",
            &"a".repeat(64),
            &"a.".repeat(130),
        ] {
            let found = host.chars().take(80).collect();
            assert_eq!(access(&[host]).check_hosts(), Err(HostError::Host { found }), "{host}");
        }
        assert_eq!(access(&[]).check_hosts(), Err(HostError::Count { found: 0 }));
        assert_eq!(access(&["a.b"; 17]).check_hosts(), Err(HostError::Count { found: 17 }));
    }

    #[test]
    fn only_what_changes_nothing_is_sent_unless_it_may_be_repeated() {
        let mut access = access(&["a.b"]);
        assert!(access.allows("GET") && access.allows("HEAD") && !access.allows("POST"));
        access.repeatable = true;
        assert!(access.allows("POST"));
        let json = r#"{"hosts":["a.b"],"repeatable":true}"#;
        assert_eq!(serde_json::from_str::<HttpAccess>(json).unwrap(), access);
        assert!(serde_json::from_str::<HttpAccess>("{}").is_err());
    }
}
