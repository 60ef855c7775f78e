//! Which addresses may be reached.
//!
//! Requests come from anyone, and a worker often stands beside services that trust their own
//! network. So a guest and a download reach only public addresses, unless the operator allows
//! others. A URL is checked before it is fetched, and again at each redirect; a name's addresses
//! are checked where they are resolved, and the connection is made to one of those that passed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// Says which addresses may be connected to.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    admits: fn(IpAddr) -> bool,
}

impl Guard {
    /// Admits addresses on the public internet, or all addresses.
    pub fn new(allow_private: bool) -> Self {
        Self { admits: if allow_private { |_| true } else { is_public } }
    }

    /// Admits what `admits` says.
    pub fn admitting(admits: fn(IpAddr) -> bool) -> Self {
        Self { admits }
    }

    /// Checks a URL before it is fetched.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn check(self, url: &Url) -> Result<(), UrlError> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err(UrlError::Scheme { found: url.scheme().to_owned() });
        }
        // A name is checked when it is resolved. An address in its place is never resolved. The
        // parser has already brought addresses into their usual form, so that `0x7f.1` is
        // 127.0.0.1 here.
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(ip) if !(self.admits)(ip) => Err(UrlError::Private { ip }),
            _ => Ok(()),
        }
    }
}

/// Resolves names as the system does, and keeps only the addresses that are admitted. The
/// connection is made to one of these, so the name cannot lead elsewhere between the check and the
/// use.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let admits = self.admits;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = match found {
                Ok(found) => found.collect(),
                Err(error) => {
                    let reason = error.to_string();
                    return Err(UrlError::Unresolved { host, reason }.into());
                }
            };
            let admitted: Vec<SocketAddr> =
                found.into_iter().filter(|address| admits(address.ip())).collect();
            if admitted.is_empty() {
                return Err(UrlError::NoPublicAddress { host }.into());
            }
            let addresses: Addrs = Box::new(admitted.into_iter());
            Ok(addresses)
        })
    }
}

/// A URL that is not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It cannot be parsed.
    #[error("the URL is invalid: {0}")]
    Invalid(<Url as FromStr>::Err),
    /// It has another scheme.
    #[error("expected https: or http:, found {found}:")]
    Scheme {
        /// Its scheme.
        found: String,
    },
    /// It leads into a private network, and the [`Guard`] admits none.
    #[error("{ip} is an address inside a private network")]
    Private {
        /// The host's address.
        ip: IpAddr,
    },
    /// The host's name has no address.
    #[error("{host} has no address: {reason}")]
    Unresolved {
        /// The host's name.
        host: String,
        /// What the system says of it.
        reason: String,
    },
    /// None of the addresses that the host's name resolves to is a public one.
    #[error("{host} has no address outside of private networks")]
    NoPublicAddress {
        /// The host's name.
        host: String,
    },
}

/// The ranges of IANA's IPv4 special-purpose registry, and multicast: prefix and length.
const SPECIAL_V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private use
    ([100, 64, 0, 0], 10),   // shared by a carrier's customers
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link local, with the metadata services of clouds
    ([172, 16, 0, 0], 12),   // private use
    ([192, 0, 0, 0], 24),    // IETF protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 31, 196, 0], 24), // AS112
    ([192, 52, 193, 0], 24), // automatic multicast tunnelling
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private use
    ([192, 175, 48, 0], 24), // AS112
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, and the limited broadcast
];

/// IPv6's global unicast, the only range from which public addresses are assigned. Loopback, link
/// local, unique local, multicast, discard (100::/64), segment routing (5f00::/16), local NAT64
/// (64:ff9b:1::/48) and IPv4-compatible addresses (::/96) lie outside of it.
const GLOBAL_V6: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The ranges of IANA's IPv6 special-purpose registry within [`GLOBAL_V6`].
const SPECIAL_V6: &[([u16; 8], u8)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // IETF protocol assignments: Teredo, ORCHID, benchmarks
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, which leads to any IPv4 address
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// Prefixes whose last 32 bits are the IPv4 address that is reached: mapped addresses
/// (::ffff:0:0/96), and NAT64 with its well-known prefix (64:ff9b::/96), through which hosts that
/// have only IPv6 reach the IPv4 internet.
const EMBEDDED_V4: &[([u16; 8], u8)] =
    &[([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96)];

/// Whether an address belongs to the public internet.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|range| in_v4(ip, range)),
        IpAddr::V6(ip) if EMBEDDED_V4.iter().any(|range| in_v6(ip, range)) => {
            let [.., a, b, c, d] = ip.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(ip) => in_v6(ip, &GLOBAL_V6) && !SPECIAL_V6.iter().any(|range| in_v6(ip, range)),
    }
}

fn in_v4(ip: Ipv4Addr, (prefix, length): &([u8; 4], u8)) -> bool {
    let mask = u32::MAX << (32 - u32::from(*length));
    u32::from(ip) & mask == u32::from_be_bytes(*prefix) & mask
}

fn in_v6(ip: Ipv6Addr, (prefix, length): &([u16; 8], u8)) -> bool {
    let mask = u128::MAX << (128 - u32::from(*length));
    u128::from(ip) & mask == u128::from(Ipv6Addr::from(*prefix)) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn the_first_and_last_address_of_each_special_range_is_refused() {
        for [first, last] in [
            ["0.0.0.0", "0.255.255.255"],
            ["10.0.0.0", "10.255.255.255"],
            ["100.64.0.0", "100.127.255.255"],
            ["127.0.0.0", "127.255.255.255"],
            ["169.254.0.0", "169.254.255.255"],
            ["172.16.0.0", "172.31.255.255"],
            ["192.0.0.0", "192.0.0.255"],
            ["192.0.2.0", "192.0.2.255"],
            ["192.31.196.0", "192.31.196.255"],
            ["192.52.193.0", "192.52.193.255"],
            ["192.88.99.0", "192.88.99.255"],
            ["192.168.0.0", "192.168.255.255"],
            ["192.175.48.0", "192.175.48.255"],
            ["198.18.0.0", "198.19.255.255"],
            ["198.51.100.0", "198.51.100.255"],
            ["203.0.113.0", "203.0.113.255"],
            ["224.0.0.0", "239.255.255.255"],
            ["240.0.0.0", "255.255.255.255"],
            ["::", "::ffff"],
            ["::808:808", "::ffff:ffff"],
            ["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
            ["100::", "100::ffff:ffff:ffff:ffff"],
            ["100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"],
            ["2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"],
            ["2001:10::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"],
            ["3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["4000::", "5fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ] {
            assert!(!public(first), "{first}");
            assert!(!public(last), "{last}");
        }
    }

    #[test]
    fn the_neighbours_of_the_special_ranges_are_admitted() {
        for open in [
            "1.0.0.0",
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "2606:4700::1111",
            "3fff:1000::",
        ] {
            assert!(public(open), "{open}");
        }
    }

    #[test]
    fn an_embedded_ipv4_address_is_judged_by_itself() {
        for refused in ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1"] {
            assert!(!public(refused), "{refused}");
        }
        for open in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8"] {
            assert!(public(open), "{open}");
        }
    }

    #[test]
    fn a_literal_private_address_is_refused_unless_allowed() {
        let url = |text: &str| Url::parse(text).unwrap();
        for text in [
            "http://127.0.0.1/x",
            "http://127.0.0.1./x",
            "http://[::1]:80/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://2130706433/x",
            "http://0x7f.1/x",
            "http://017700000001/x",
            "http://%31%32%37.0.0.1/x",
            "http://user@127.0.0.1/x",
            "http://169.254.169.254/",
        ] {
            assert!(Guard::new(false).check(&url(text)).is_err(), "{text}");
            assert!(Guard::new(true).check(&url(text)).is_ok(), "{text}");
        }
        assert!(Guard::new(false).check(&url("https://example.com/x")).is_ok());
        assert!(Guard::new(true).check(&url("ftp://example.com/x")).is_err());
    }
}
