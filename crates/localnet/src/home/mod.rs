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
use crate::{
    chain::{Genesis, GenesisError, MAX_PROTOCOL_VERSION},
    settings::Settings,
};

/// The account of the only validator.
const VALIDATOR: &AccountIdRef = AccountIdRef::new_or_panic("test.near");

/// The account in `node_key.json`.
const NODE: &AccountIdRef = AccountIdRef::new_or_panic("node");

/// The file with the URL of the node that runs in a home directory.
const URL_FILE: &str = "rpc_url";

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
        reason: String,
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
        self.write("config.json", &Settings::default().to_config())?;
        self.write("genesis.json", &genesis.to_json()?)
    }

    /// Notes the URL of the node that runs here, for commands that ask it.
    pub(crate) fn note_url(&self, url: &str) -> Result<(), HomeError> {
        let path = self.file(URL_FILE);
        std::fs::write(&path, url).map_err(|source| HomeError::File { path, source })
    }

    /// The URL of the node that runs here, or has run here last.
    pub(crate) fn url(&self) -> Option<String> {
        std::fs::read_to_string(self.file(URL_FILE)).ok()
    }

    /// Writes a state where `view-state dump-state` of nearcore does. Returns the path.
    pub(crate) fn write_state(&self, genesis: &Value) -> Result<PathBuf, HomeError> {
        self.write("output.json", genesis)?;
        Ok(self.file("output.json"))
    }

    /// Adds records to the genesis, and their balances to the total supply. An account must not be
    /// in the genesis yet.
    pub(crate) fn add_records(&self, records: Vec<Value>) -> Result<(), HomeError> {
        let path = self.file("genesis.json");
        let malformed = |reason: String| HomeError::Malformed { path: path.clone(), reason };
        let mut genesis = self.read("genesis.json")?;
        let total = |genesis: &Value| genesis["total_supply"].as_str()?.parse::<u128>().ok();
        let mut supply =
            total(&genesis).ok_or_else(|| malformed("total_supply is not a number".to_owned()))?;
        let known = genesis["records"]
            .as_array_mut()
            .ok_or_else(|| malformed("records is not a list".to_owned()))?;
        for record in records {
            let account = &record["Account"];
            if let Some(account_id) = account["account_id"].as_str() {
                let same = |known: &Value| known["Account"]["account_id"] == account_id;
                if known.iter().any(same) {
                    return Err(malformed(format!("the account {account_id} is in it already")));
                }
                let amounts = ["amount", "locked"].map(|name| account["account"][name].as_str());
                for amount in amounts.into_iter().flatten() {
                    supply = supply.saturating_add(amount.parse().unwrap_or_default());
                }
            }
            known.push(record);
        }
        genesis["total_supply"] = json!(supply.to_string());
        // Nothing is written that the next start would refuse.
        Genesis::from_json(genesis.clone())?;
        self.write("genesis.json", &genesis)
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

    /// Reads `config.json`. Without the file the settings are the default ones.
    pub fn settings(&self) -> Result<Settings, HomeError> {
        if !self.file("config.json").exists() {
            return Ok(Settings::default());
        }
        let config = self.read("config.json")?;
        let path = self.file("config.json");
        let (settings, without_effect) = Settings::read(&config)
            .map_err(|reason| HomeError::Malformed { path: path.clone(), reason })?;
        if !without_effect.is_empty() {
            let without_effect = without_effect.join(", ");
            tracing::warn!(path = %path.display(), without_effect, "localnet has no such settings");
        }
        Ok(settings)
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
        self.add_records(vec![
            json!({"Account": {"account_id": account_id, "account": {
                "amount": balance.to_string(), "locked": "0", "storage_usage": 182,
                "code_hash": "11111111111111111111111111111111",
            }}}),
            json!({"AccessKey": {
                "account_id": account_id,
                "public_key": secret_key.public_key(),
                "access_key": {"nonce": 0, "permission": "FullAccess"},
            }}),
        ])?;
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
