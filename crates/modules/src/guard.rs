//! Which addresses code may be downloaded from.
//!
//! Requests come from anyone, and a worker often stands beside services that trust their own
//! network. So a download reaches only public addresses, unless the operator allows others.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use crate::UrlError;

/// Checks a URL before it is fetched from.
pub(crate) fn check_url(url: &Url, allow_private: bool) -> Result<(), UrlError> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(UrlError::Scheme { found: url.scheme().to_owned() });
    }
    if allow_private {
        return Ok(());
    }
    // A host's name is checked when it is resolved. An address in its place is never resolved.
    let literal = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    match literal.and_then(|host| host.parse::<IpAddr>().ok()) {
        Some(ip) if !is_public(ip) => Err(UrlError::Private { ip }),
        _ => Ok(()),
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip.is_documentation()
                || first == 0
                // RFC 6598 (carrier-grade NAT) and RFC 2544 (benchmarks).
                || (first == 100 && second & 0xc0 == 64)
                || (first == 198 && second & 0xfe == 18))
        }
        IpAddr::V6(ip) => match embedded_v4(ip) {
            Some(v4) => is_public(v4),
            None => {
                !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local())
            }
        },
    }
}

/// The IPv4 address inside a mapped (::ffff:0:0/96) or NAT64 (64:ff9b::/96) one.
fn embedded_v4(ip: Ipv6Addr) -> Option<IpAddr> {
    let [a, b, c, d, e, f, ..] = ip.segments();
    let [.., w, x, y, z] = ip.octets();
    let embeds = matches!([a, b, c, d, e, f], [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]);
    embeds.then(|| IpAddr::from([w, x, y, z]))
}

/// Resolves names as the system does, and keeps only the public addresses. The connection is made
/// to an address that was checked, so the name cannot lead elsewhere between the check and the use.
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(UrlError::NoPublicAddress { host }.into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert!(!public(private), "{private}");
        }
        for open in ["1.1.1.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(public(open), "{open}");
        }
    }

    #[test]
    fn a_literal_private_address_is_refused_unless_allowed() {
        let url = |text: &str| Url::parse(text).unwrap();
        for text in [
            "http://127.0.0.1/x",
            "http://[::1]:80/x",
            "http://2130706433/x",
            "http://169.254.169.254/",
        ] {
            assert!(check_url(&url(text), false).is_err(), "{text}");
            assert!(check_url(&url(text), true).is_ok(), "{text}");
        }
        assert!(check_url(&url("https://example.com/x"), false).is_ok());
        assert!(check_url(&url("ftp://example.com/x"), true).is_err());
    }
}
