//! The settings of `config.json` that the node has.
//!
//! nearcore's file has many more. Those are about peers, shards, disks and threads, which this node
//! does not have; the file that `init` writes leaves them out. A file that sets one of them is
//! read, and [`Settings::read`] names what has no effect.

use std::time::Duration;

use near_primitives::types::Gas;
use serde::Deserialize;
use serde_json::{Value, json};

/// The settings of a node's RPC, with nearcore's names and defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The largest state that `view_state` shows without paging, in bytes; `None` for any size
    /// (`trie_viewer_state_size_limit`).
    pub state_size_limit: Option<u64>,
    /// The most access keys in one response (`view_access_keys_limit`).
    pub access_keys_limit: u32,
    /// The gas that a view may burn; `None` for the protocol's own limit (`max_gas_burnt_view`).
    pub view_gas: Option<Gas>,
    /// How long a request waits for a transaction (`rpc.polling_config.polling_timeout`).
    pub polling_timeout: Duration,
    /// The longest request body, in bytes (`rpc.limits_config.json_payload_max_size`). The response
    /// to a longer one is 413 and plain text.
    pub max_body_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_size_limit: Some(50_000),
            access_keys_limit: 100,
            view_gas: None,
            polling_timeout: Duration::from_secs(10),
            max_body_bytes: 2 * 1024 * 1024,
        }
    }
}

/// A duration as nearcore writes it.
#[derive(Deserialize)]
struct Seconds {
    secs: u64,
    #[serde(default)]
    nanos: u32,
}

impl Settings {
    /// Reads `config.json`. Returns the settings, and the paths of those in the file that have no
    /// effect on this node.
    ///
    /// # Errors
    /// Names the setting whose value is not what nearcore takes, and the value.
    pub fn read(config: &Value) -> Result<(Self, Vec<String>), String> {
        let mut settings = Self::default();
        if config.get("trie_viewer_state_size_limit").is_some() {
            settings.state_size_limit = read(config, "trie_viewer_state_size_limit")?;
        }
        if config.get("view_access_keys_limit").is_some() {
            settings.access_keys_limit = read(config, "view_access_keys_limit")?;
        }
        if config.get("max_gas_burnt_view").is_some() {
            settings.view_gas = read(config, "max_gas_burnt_view")?;
        }
        let timeout = "rpc.polling_config.polling_timeout";
        if at(config, timeout).is_some() {
            let Seconds { secs, nanos } = read(config, timeout)?;
            settings.polling_timeout = Duration::from_secs(secs)
                .checked_add(Duration::from_nanos(u64::from(nanos)))
                .ok_or_else(|| format!("{timeout} is too long"))?;
        }
        let bytes = "rpc.limits_config.json_payload_max_size";
        if at(config, bytes).is_some() {
            settings.max_body_bytes = read(config, bytes)?;
        }
        let mut without_effect = Vec::new();
        compare(config, &Self::default().to_config(), "", &mut without_effect);
        without_effect.sort_unstable();
        Ok((settings, without_effect))
    }

    /// The `config.json` of a new chain, with these settings and what near-sandbox expects to be
    /// able to patch.
    pub fn to_config(&self) -> Value {
        let timeout = self.polling_timeout;
        json!({
            "genesis_file": "genesis.json",
            "validator_key_file": "validator_key.json",
            "node_key_file": "node_key.json",
            "rpc": {
                "addr": "0.0.0.0:3030",
                "cors_allowed_origins": ["*"],
                "polling_config": {
                    "polling_interval": {"secs": 0, "nanos": 200_000_000},
                    "polling_timeout": {"secs": timeout.as_secs(), "nanos": timeout.subsec_nanos()},
                },
                "limits_config": {"json_payload_max_size": self.max_body_bytes},
            },
            "network": {"addr": "0.0.0.0:24567"},
            "consensus": {},
            "store": {"max_open_files": 10_000},
            "trie_viewer_state_size_limit": self.state_size_limit,
            "view_access_keys_limit": self.access_keys_limit,
            "max_gas_burnt_view": self.view_gas,
        })
    }
}

/// What has an effect, or needs none: the addresses come from the command line, as with
/// near-sandbox, and `init` writes the files under these names.
const KNOWN: [&str; 10] = [
    "trie_viewer_state_size_limit",
    "view_access_keys_limit",
    "max_gas_burnt_view",
    "rpc.addr",
    "rpc.polling_config.polling_timeout",
    // Every block is looked at, so no interval is too long.
    "rpc.polling_config.polling_interval",
    "rpc.limits_config.json_payload_max_size",
    "network.addr",
    "store.max_open_files",
    "telemetry",
];

/// Collects the paths of all values in `found` that are neither known nor those of a new chain.
fn compare(found: &Value, default: &Value, path: &str, different: &mut Vec<String>) {
    if KNOWN.contains(&path) || found == default || found.is_null() {
        return;
    }
    match found {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(value, default.get(name).unwrap_or(&Value::Null), &path, different);
            }
        }
        _ => different.push(path.to_owned()),
    }
}

fn at<'a>(config: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(config, |value, name| value.get(name))
}

fn read<T: for<'a> Deserialize<'a>>(config: &Value, path: &str) -> Result<T, String> {
    let value = at(config, path).unwrap_or(&Value::Null);
    T::deserialize(value).map_err(|error| format!("{path} is {value}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let default = Settings::default();
        assert_eq!(Settings::read(&default.to_config()).unwrap(), (default, vec![]));
        assert_eq!(Settings::read(&json!({})).unwrap(), (Settings::default(), vec![]));
        let other = Settings {
            state_size_limit: None,
            access_keys_limit: 5,
            view_gas: Some(Gas::from_teragas(5)),
            polling_timeout: Duration::from_millis(2_500),
            max_body_bytes: 1 << 30,
        };
        assert_eq!(Settings::read(&other.to_config()).unwrap(), (other, vec![]));
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let config = json!({
            "archive": true,
            "consensus": {"min_block_production_delay": {"secs": 0, "nanos": 1}},
            "rpc": {"addr": "127.0.0.1:1", "enable_debug_rpc": true, "prometheus_addr": null},
            "store": {"max_open_files": 3},
        });
        let (_, without_effect) = Settings::read(&config).unwrap();
        let expected = [
            "archive",
            "consensus.min_block_production_delay.nanos",
            "consensus.min_block_production_delay.secs",
            "rpc.enable_debug_rpc",
        ];
        assert_eq!(without_effect, expected);
    }

    #[test]
    fn a_wrong_value_is_named() {
        let config = json!({"rpc": {"limits_config": {"json_payload_max_size": "2 MB"}}});
        let error = Settings::read(&config).unwrap_err();
        assert!(
            error.starts_with("rpc.limits_config.json_payload_max_size is \"2 MB\": "),
            "{error}"
        );
    }
}
