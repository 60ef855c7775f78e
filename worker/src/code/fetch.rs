//! Code from an address or from the contract, at most so many bytes of it.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use outlayer_protocol::Hash32;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use super::{CodeConfig, CodeError};
use crate::chain::{At, Contract};

/// Bytes asked for in one view; base64 in JSON makes a third more of them.
const PART_BYTES: u32 = 192 << 10;

/// Code that was published in the contract. Not yet verified.
pub(super) async fn published(
    contract: &Contract,
    hash: &Hash32,
    at: At,
    limit: usize,
) -> Result<Vec<u8>, CodeError> {
    let not_published = |published, total| CodeError::NotPublished {
        hash: *hash,
        contract: contract.id().to_string(),
        published,
        total,
    };
    let info = contract.code_info(hash, at).await?.ok_or_else(|| not_published(0, 0))?;
    let total = info.total_bytes;
    if info.published_bytes < total {
        return Err(not_published(info.published_bytes, total));
    }
    if usize::try_from(total).unwrap_or(usize::MAX) > limit {
        return Err(CodeError::TooLarge { source_name: contract.id().to_string(), limit });
    }
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let offset = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Some(missing) = total.checked_sub(offset).filter(|missing| *missing > 0) else {
            return Ok(bytes);
        };
        let asked = missing.min(PART_BYTES);
        let part = contract.code(hash, offset, asked, at).await?.unwrap_or_default();
        // A part may be shorter than asked for, but an empty or longer one would never end.
        if part.is_empty() || part.len() > usize::try_from(asked).unwrap_or(usize::MAX) {
            return Err(not_published(offset, total));
        }
        bytes.extend(part);
    }
}

/// Downloads from addresses that requests name.
#[derive(Clone, Debug)]
pub(super) struct Web {
    http: reqwest::Client,
    allow_private: bool,
}

impl Web {
    pub(super) fn new(config: &CodeConfig) -> Result<Self, reqwest::Error> {
        let (allow_private, most) = (config.allow_private_urls, config.redirects);
        let policy = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > most {
                attempt.error(format!("more than {most} redirects"))
            } else if let Err(reason) = check_url(attempt.url(), allow_private) {
                attempt.error(reason)
            } else {
                attempt.follow()
            }
        });
        let mut builder =
            reqwest::Client::builder().timeout(config.timeout).redirect(policy).referer(false);
        if !allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self { http: builder.build()?, allow_private })
    }

    /// The bytes at `url`. Not yet verified.
    pub(super) async fn download(&self, url: &str, limit: usize) -> Result<Vec<u8>, CodeError> {
        let failed = |reason: String| CodeError::Download { url: shown(url), reason };
        let parsed = Url::parse(url).map_err(|error| failed(error.to_string()))?;
        check_url(&parsed, self.allow_private).map_err(failed)?;
        let sent = self.http.get(parsed).send().await;
        let mut response = sent.map_err(|error| failed(crate::chain::chain_of(&error)))?;
        if !response.status().is_success() {
            return Err(failed(format!("HTTP status {}", response.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| failed(crate::chain::chain_of(&error)))?
        {
            if bytes.len() + chunk.len() > limit {
                return Err(CodeError::TooLarge { source_name: shown(url), limit });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// An address as it may stand in a message.
pub(super) fn shown(url: &str) -> String {
    url.escape_debug().take(200).collect()
}

fn check_url(url: &Url, allow_private: bool) -> Result<(), String> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("expected https: or http:, found {}:", url.scheme()));
    }
    if allow_private {
        return Ok(());
    }
    // A name is checked when it is resolved; a literal address is not resolved.
    let literal = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    match literal.and_then(|host| host.parse::<IpAddr>().ok()) {
        Some(ip) if !is_public(ip) => Err(format!("{ip} is an address inside a private network")),
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

/// Resolves names as the system does, and keeps public addresses only: the address that is checked is the one that is
/// connected to.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(format!("{host} has no address outside of private networks").into());
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
