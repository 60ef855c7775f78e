//! Which networks have a name, and where they are asked.

use anyhow::bail;
use outlayer_client::{EndpointUrl, Node, NodeConfig};

use crate::localnet;

/// A network that a person may call by its name.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) name: &'static str,
    /// An archival endpoint, so that replays find old blocks.
    rpc_url: &'static str,
    /// What the network calls itself; `None` for localnet, which may have any name.
    chain_id: Option<&'static str>,
}

static NETWORKS: [Network; 3] = [
    Network { name: localnet::NAME, rpc_url: localnet::RPC_URL, chain_id: None },
    Network {
        name: "testnet",
        rpc_url: "https://archival-rpc.testnet.fastnear.com",
        chain_id: Some("testnet"),
    },
    Network {
        name: "mainnet",
        rpc_url: "https://archival-rpc.mainnet.fastnear.com",
        chain_id: Some("mainnet"),
    },
];

/// What a network's option takes, for the messages.
pub(crate) const EXPECTED: &str = "localnet, testnet, mainnet, or the URL of a node's JSON-RPC \
                                   endpoint (http:// or https:// and a host)";

/// The network of this name.
fn named(name: &str) -> Option<&'static Network> {
    NETWORKS.iter().find(|network| network.name == name)
}

/// Whether a network has this name.
pub(crate) fn is_named(name: &str) -> bool {
    named(name).is_some()
}

/// The network that `network` and `rpc_url` together mean, and its name if it has one.
///
/// A URL goes before the one of a named network; the network at that URL must then be the named
/// one. The messages do not show a URL, because API keys may be part of it.
pub(crate) fn choose(
    network: Option<&str>,
    rpc_urls: &[String],
) -> anyhow::Result<(NodeConfig, Option<&'static str>)> {
    let mut urls: Vec<EndpointUrl> =
        rpc_urls.iter().map(|url| EndpointUrl::from(url.as_str())).collect();
    let found = match network {
        None => None,
        Some(name) => match named(name) {
            Some(found) => {
                if urls.is_empty() {
                    urls.push(EndpointUrl::from(found.rpc_url));
                }
                Some(found)
            }
            None if name.contains("://") && urls.is_empty() => {
                urls.push(EndpointUrl::from(name));
                None
            }
            None if name.contains("://") => {
                bail!("found a URL in --network and one in --rpc-url; expected one of the two")
            }
            // Something like user:password@host is not shown.
            None if name.contains(['/', '@', ':']) => {
                bail!("--network: found something else, expected {EXPECTED}")
            }
            None => bail!("--network: found {name:?}, expected {EXPECTED}"),
        },
    };
    if urls.is_empty() {
        bail!(
            "nobody says which network to ask; give --network (or OUTLAYER_NETWORK): {EXPECTED}. \
             `outlayer dev` starts localnet on this machine"
        );
    }
    let mut config = NodeConfig::of(urls);
    config.chain_id = found.and_then(|network| network.chain_id).map(str::to_owned);
    Node::new(&config)?;
    Ok((config, found.map(|network| network.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(network: Option<&str>, urls: &[&str]) -> Result<(String, Option<String>), String> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        let (config, _) = choose(network, &urls).map_err(|error| error.to_string())?;
        let shown: Vec<String> = config.endpoints.iter().map(ToString::to_string).collect();
        Ok((shown.join(" "), config.chain_id))
    }

    #[test]
    fn a_network_is_found_by_name_or_by_url() {
        let testnet = chosen(Some("testnet"), &[]).unwrap();
        assert!(testnet.0.contains("testnet"), "{testnet:?}");
        assert_eq!(testnet.1.as_deref(), Some("testnet"));
        assert_eq!(chosen(Some("localnet"), &[]).unwrap().1, None);
        let own = chosen(Some("mainnet"), &["https://rpc.example.com/KEY"]).unwrap();
        assert!(own.0.starts_with("https://rpc.example.com"), "{own:?}");
        assert_eq!(own.1.as_deref(), Some("mainnet"), "the URL must serve the named network");
        assert!(chosen(Some("http://127.0.0.1:1"), &[]).is_ok());
        assert!(chosen(None, &["http://127.0.0.1:1"]).is_ok());
    }

    #[test]
    fn what_is_no_network_is_refused_without_showing_a_secret() {
        for (network, urls) in [
            (None, &[][..]),
            (Some("testnett"), &[]),
            (Some("user:SECRET@host"), &[]),
            (Some("http//SECRET"), &[]),
            (Some("ftp://SECRET"), &[]),
            (Some("http://SECRET"), &["http://SECRET"]),
        ] {
            let error = chosen(network, urls).unwrap_err();
            assert!(!error.contains("SECRET"), "{error}");
            assert!(error.contains("expected") || error.contains("--network"), "{error}");
        }
        assert!(chosen(Some("testnett"), &[]).unwrap_err().contains("\"testnett\""));
    }
}
