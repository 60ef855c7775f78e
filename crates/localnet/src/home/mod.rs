//! The home directory: `genesis.json`, `config.json`, `validator_key.json` and `node_key.json`, in the
//! forms of nearcore, so that `near-sandbox` can patch them.

use crate::chain::{Genesis, GenesisError, MAX_PROTOCOL_VERSION};
use near_crypto::{InMemorySigner, KeyFile, KeyType, SecretKey};
use near_primitives::types::AccountId;
use near_primitives::validator_signer::{InMemoryValidatorSigner, ValidatorSigner};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The account that validates.
const VALIDATOR: &str = "test.near";

/// The first second of a chain that is made from a seed: 2024-01-01.
const SEEDED_TIME: u64 = 1_704_067_200;

/// Why a home directory cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The file system refused.
    #[error("{path}: {reason}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} does not parse: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a chain already.
    #[error("{path} exists; remove the directory to start a new chain in it")]
    Exists {
        /// The genesis file that is there.
        path: PathBuf,
    },
    /// The genesis cannot be started from.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

/// How a new home is made.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The chain's id; made up when absent.
    pub chain_id: Option<String>,
    /// The protocol version.
    pub protocol_version: u32,
    /// Makes keys, chain id and time follow from this.
    pub seed: Option<String>,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self { chain_id: None, protocol_version: MAX_PROTOCOL_VERSION, seed: None }
    }
}

/// A home directory.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// A home at a place. Nothing is read or written yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the files of a new chain.
    pub fn init(&self, options: &InitOptions) -> Result<(), HomeError> {
        let genesis_path = self.file("genesis.json");
        if genesis_path.exists() {
            return Err(HomeError::Exists { path: genesis_path });
        }
        std::fs::create_dir_all(&self.dir)
            .map_err(|reason| HomeError::File { path: self.dir.clone(), reason })?;
        let malformed =
            |reason: String| HomeError::Malformed { path: genesis_path.clone(), reason };
        let validator: AccountId =
            VALIDATOR.parse().map_err(|error| malformed(format!("{error}")))?;
        let secret_key = key(options.seed.as_deref(), "validator");
        let public_key = secret_key.public_key();
        let chain_id = options.chain_id.clone().unwrap_or_else(|| {
            let suffix: String = key(options.seed.as_deref(), "chain").public_key().to_string();
            format!("test-chain-{}", &suffix[suffix.len().saturating_sub(5)..])
        });
        let time = match options.seed {
            Some(_) => SEEDED_TIME * 1_000_000_000,
            None => now_nanos(),
        };
        let genesis = Genesis::fast(
            &chain_id,
            options.protocol_version,
            &rfc3339(time),
            &validator,
            &public_key,
        )?;
        let key_file = KeyFile { account_id: validator, public_key, secret_key };
        self.write_key("validator_key.json", &key_file)?;
        let node_key = key(options.seed.as_deref(), "node");
        let node_file = KeyFile {
            account_id: "node".parse().map_err(|error| malformed(format!("{error}")))?,
            public_key: node_key.public_key(),
            secret_key: node_key,
        };
        self.write_key("node_key.json", &node_file)?;
        self.write("config.json", &default_config())?;
        self.write("genesis.json", &genesis.to_json()?)
    }

    /// Whether there is a chain here.
    pub fn exists(&self) -> bool {
        self.file("genesis.json").exists()
    }

    /// Reads the genesis.
    pub fn genesis(&self) -> Result<Genesis, HomeError> {
        let value = self.read("genesis.json")?;
        Ok(Genesis::from_json(value)?)
    }

    /// Reads the validator's key.
    pub fn validator_signer(&self) -> Result<ValidatorSigner, HomeError> {
        let path = self.file("validator_key.json");
        let file = KeyFile::from_file(&path).map_err(|reason| HomeError::File { path, reason })?;
        let signer = InMemorySigner::from_secret_key(file.account_id, file.secret_key);
        Ok(InMemoryValidatorSigner::from_signer(signer))
    }

    /// Applies a JSON merge patch (RFC 7396) to the genesis, as near-sandbox does for its users.
    pub fn patch_genesis(&self, patch: &Value) -> Result<(), HomeError> {
        let mut genesis = self.read("genesis.json")?;
        merge(&mut genesis, patch);
        self.write("genesis.json", &genesis)
    }

    /// Adds an account to the genesis, with the total supply raised by its balance.
    pub fn add_account(
        &self,
        account_id: &AccountId,
        secret_key: &SecretKey,
        balance: u128,
    ) -> Result<(), HomeError> {
        let path = self.file("genesis.json");
        let malformed =
            |what: &str| HomeError::Malformed { path: path.clone(), reason: what.into() };
        let mut genesis = self.read("genesis.json")?;
        let supply = genesis["total_supply"]
            .as_str()
            .and_then(|supply| supply.parse::<u128>().ok())
            .and_then(|supply| supply.checked_add(balance))
            .ok_or_else(|| malformed("total_supply is no number"))?;
        genesis["total_supply"] = json!(supply.to_string());
        let records =
            genesis["records"].as_array_mut().ok_or_else(|| malformed("records is no list"))?;
        records.push(json!({"Account": {"account_id": account_id, "account": {
            "amount": balance.to_string(), "locked": "0", "storage_usage": 182,
            "code_hash": "11111111111111111111111111111111",
        }}}));
        records.push(json!({"AccessKey": {
            "account_id": account_id,
            "public_key": secret_key.public_key(),
            "access_key": {"nonce": 0, "permission": "FullAccess"},
        }}));
        self.write("genesis.json", &genesis)?;
        let key = json!({
            "account_id": account_id,
            "public_key": secret_key.public_key(),
            "private_key": secret_key,
        });
        self.write(&format!("{account_id}.json"), &key)
    }

    fn read(&self, name: &str) -> Result<Value, HomeError> {
        let path = self.file(name);
        let text = std::fs::read_to_string(&path)
            .map_err(|reason| HomeError::File { path: path.clone(), reason })?;
        serde_json::from_str(&text)
            .map_err(|error| HomeError::Malformed { path, reason: error.to_string() })
    }

    fn write(&self, name: &str, value: &Value) -> Result<(), HomeError> {
        let path = self.file(name);
        let text = serde_json::to_string_pretty(value).map_err(|error| HomeError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        std::fs::write(&path, text).map_err(|reason| HomeError::File { path, reason })
    }

    fn write_key(&self, name: &str, file: &KeyFile) -> Result<(), HomeError> {
        let path = self.file(name);
        file.write_to_file(&path).map_err(|reason| HomeError::File { path, reason })
    }
}

/// Where compiled contracts are kept across runs: the user's cache directory.
pub fn default_contract_cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("outlayer-localnet").join("contracts")
}

/// A key: random, or derived from a seed and a purpose.
fn key(seed: Option<&str>, purpose: &str) -> SecretKey {
    match seed {
        None => SecretKey::from_random(KeyType::ED25519),
        Some(seed) => {
            let digest = Sha256::digest(format!("localnet:{purpose}:{seed}"));
            let text: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            SecretKey::from_seed(KeyType::ED25519, &text)
        }
    }
}

fn now_nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn rfc3339(nanos: u64) -> String {
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let days = seconds / 86_400;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:09}Z")
}

/// The date that lies so many days after 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// A JSON merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The settings that near-sandbox expects to be able to patch. The node itself takes its own from the
/// command line.
fn default_config() -> Value {
    json!({
        "genesis_file": "genesis.json",
        "validator_key_file": "validator_key.json",
        "node_key_file": "node_key.json",
        "rpc": {
            "addr": "0.0.0.0:3030",
            "cors_allowed_origins": ["*"],
            "limits_config": {"json_payload_max_size": crate::rpc::MAX_BODY_BYTES},
        },
        "network": {"addr": "0.0.0.0:24567"},
        "consensus": {},
        "store": {"max_open_files": 10_000},
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_new_home_holds_what_near_sandbox_patches() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        home.init(&InitOptions::default()).unwrap();
        let genesis = home.read("genesis.json").unwrap();
        assert_eq!(genesis["protocol_version"], 88);
        assert!(genesis["total_supply"].is_string() && genesis["records"].is_array());
        assert!(home.read("config.json").unwrap().is_object());
        assert_eq!(home.validator_signer().unwrap().validator_id().as_str(), "test.near");
        assert_eq!(home.genesis().unwrap().records.len(), 4);
        assert!(matches!(home.init(&InitOptions::default()), Err(HomeError::Exists { .. })));
    }

    #[test]
    fn a_seed_gives_the_same_files() {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { seed: Some("one".to_owned()), ..InitOptions::default() };
        let homes = ["a", "b"].map(|name| Home::new(dir.path().join(name)));
        for home in &homes {
            home.init(&options).unwrap();
        }
        for file in ["genesis.json", "validator_key.json", "node_key.json"] {
            assert_eq!(homes[0].read(file).unwrap(), homes[1].read(file).unwrap(), "{file}");
        }
    }

    #[test]
    fn unknown_protocol_versions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { protocol_version: 83, ..InitOptions::default() };
        let error = Home::new(dir.path()).init(&options).unwrap_err();
        assert_eq!(error.to_string(), "protocol version 83 is not supported; 84 to 88 are");
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(rfc3339(SEEDED_TIME * 1_000_000_000), "2024-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_399_000_000_001), "2000-02-28T23:59:59.000000001Z");
        assert_eq!(rfc3339(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000Z");
    }

    #[test]
    fn a_patch_replaces_adds_and_removes() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(&mut target, &json!({"a": {"b": 5, "c": null}, "e": [1]}));
        assert_eq!(target, json!({"a": {"b": 5}, "d": 3, "e": [1]}));
    }
}
