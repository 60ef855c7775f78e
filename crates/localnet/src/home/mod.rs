//! The home directory: `genesis.json`, `config.json`, `validator_key.json` and `node_key.json`, in
//! nearcore's formats, so that near-sandbox can patch them.

mod merge_patch;
mod rfc3339;

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use near_crypto::{InMemorySigner, KeyFile, KeyType, SecretKey};
use near_primitives::validator_signer::{InMemoryValidatorSigner, ValidatorSigner};
use near_primitives_core::account::id::AccountIdRef;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::rfc3339::rfc3339;
use crate::chain::{Genesis, GenesisError, MAX_PROTOCOL_VERSION};

/// The account of the only validator.
const VALIDATOR: &AccountIdRef = AccountIdRef::new_or_panic("test.near");

/// The account in `node_key.json`.
const NODE: &AccountIdRef = AccountIdRef::new_or_panic("node");

/// The genesis time of a chain that is created from a seed, in seconds since 1970: 2024-01-01.
const SEEDED_TIME: u64 = 1_704_067_200;

/// Why a home directory cannot be created or used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file or directory cannot be created, read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The reason that the system gives.
        source: std::io::Error,
    },
    /// A file is not valid JSON.
    #[error("{path} does not parse: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why parsing failed.
        source: serde_json::Error,
    },
    /// A file is valid JSON, but not in nearcore's format.
    #[error("{path} does not parse: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is a chain in the directory already.
    #[error("{path} exists; remove the directory to start a new chain in it")]
    Exists {
        /// The genesis file that is there.
        path: PathBuf,
    },
    /// The genesis cannot be used.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

/// How a new home directory is created.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The chain's id; derived from the seed, or random, when absent.
    pub chain_id: Option<String>,
    /// The protocol version that the chain runs at.
    pub protocol_version: u32,
    /// Derives the keys, the chain id and the genesis time from this text. When absent, keys and id
    /// are random, and the genesis time is the current time.
    pub seed: Option<String>,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self { chain_id: None, protocol_version: MAX_PROTOCOL_VERSION, seed: None }
    }
}

/// A home directory, which may or may not exist yet.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The home in the directory `dir`. Nothing is read or written yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Creates the files of a new chain.
    pub fn init(&self, options: &InitOptions) -> Result<(), HomeError> {
        let genesis_path = self.file("genesis.json");
        if genesis_path.exists() {
            return Err(HomeError::Exists { path: genesis_path });
        }
        std::fs::create_dir_all(&self.dir)
            .map_err(|source| HomeError::File { path: self.dir.clone(), source })?;
        let validator = VALIDATOR.to_owned();
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
            account_id: NODE.to_owned(),
            public_key: node_key.public_key(),
            secret_key: node_key,
        };
        self.write_key("node_key.json", &node_file)?;
        self.write("config.json", &default_config())?;
        self.write("genesis.json", &genesis.to_json()?)
    }

    /// Whether there is a chain in the directory.
    pub fn exists(&self) -> bool {
        self.file("genesis.json").exists()
    }

    /// Reads `genesis.json`.
    pub fn genesis(&self) -> Result<Genesis, HomeError> {
        let value = self.read("genesis.json")?;
        Ok(Genesis::from_json(value)?)
    }

    /// Reads `validator_key.json`.
    pub fn validator_signer(&self) -> Result<ValidatorSigner, HomeError> {
        let path = self.file("validator_key.json");
        let file = KeyFile::from_file(&path).map_err(|source| HomeError::File { path, source })?;
        let signer = InMemorySigner::from_secret_key(file.account_id, file.secret_key);
        Ok(InMemoryValidatorSigner::from_signer(signer))
    }

    /// Applies a JSON merge patch (RFC 7396) to the genesis, as near-sandbox does for its users.
    pub fn patch_genesis(&self, patch: &Value) -> Result<(), HomeError> {
        let mut genesis = self.read("genesis.json")?;
        merge_patch::apply(&mut genesis, patch);
        self.write("genesis.json", &genesis)
    }

    /// Adds an account with a full-access key to the genesis, and its balance to the total supply.
    /// `balance` is in yoctoNEAR.
    pub fn add_account(
        &self,
        account_id: &AccountIdRef,
        secret_key: &SecretKey,
        balance: u128,
    ) -> Result<(), HomeError> {
        let path = self.file("genesis.json");
        let malformed = |reason| HomeError::Malformed { path: path.clone(), reason };
        let mut genesis = self.read("genesis.json")?;
        let supply = genesis["total_supply"]
            .as_str()
            .and_then(|supply| supply.parse::<u128>().ok())
            .and_then(|supply| supply.checked_add(balance))
            .ok_or_else(|| malformed("total_supply is not a number, or too large"))?;
        genesis["total_supply"] = json!(supply.to_string());
        let records =
            genesis["records"].as_array_mut().ok_or_else(|| malformed("records is not a list"))?;
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
            .map_err(|source| HomeError::File { path: path.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| HomeError::Json { path, source })
    }

    fn write(&self, name: &str, value: &Value) -> Result<(), HomeError> {
        let path = self.file(name);
        let text = serde_json::to_string_pretty(value)
            .map_err(|source| HomeError::Json { path: path.clone(), source })?;
        std::fs::write(&path, text).map_err(|source| HomeError::File { path, source })
    }

    fn write_key(&self, name: &str, file: &KeyFile) -> Result<(), HomeError> {
        let path = self.file(name);
        file.write_to_file(&path).map_err(|source| HomeError::File { path, source })
    }
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

/// The settings that near-sandbox expects to be able to patch. The node itself ignores them: its
/// own settings come from the command line.
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
}
