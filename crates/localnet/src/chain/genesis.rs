//! The genesis file: the chain's configuration and the records that its state starts with.

use std::collections::BTreeMap;

use near_chain_configs::GenesisConfig;
use near_crypto::PublicKey;
use near_parameters::StorageUsageConfig;
use near_primitives::{
    account::AccessKey,
    state_record::StateRecord,
    types::{AccountId, NonceIndex, StorageUsage, validator_stake::ValidatorStake},
};
use serde_json::{Value, json};

/// The oldest protocol version whose rules the runtime has.
pub const MIN_PROTOCOL_VERSION: u32 = 84;
/// The newest protocol version whose rules the runtime has. It is the default.
pub const MAX_PROTOCOL_VERSION: u32 = 88;

/// One NEAR in yoctoNEAR.
const NEAR: u128 = 1_000_000_000_000_000_000_000_000;
/// The balance of the two accounts that `near-sandbox init --fast` creates, in NEAR.
const INITIAL_BALANCE: u128 = 1_000_000_000;
/// The stake of the validator that `near-sandbox init --fast` creates, in NEAR.
const INITIAL_STAKE: u128 = 50_000_000;
/// The storage usage of an account with one full-access key, in bytes.
const ACCOUNT_WITH_KEY: u64 = 182;

/// Why a genesis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file does not have the format of nearcore's `genesis.json`.
    #[error("the genesis does not parse: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The runtime does not have the rules of this protocol version.
    #[error(
        "protocol version {found} is not supported; \
         {MIN_PROTOCOL_VERSION} to {MAX_PROTOCOL_VERSION} are"
    )]
    ProtocolVersion {
        /// The version that the file names.
        found: u32,
    },
    /// The total supply is not the sum of the balances and stakes in the records.
    #[error(
        "the genesis names a total supply of {found} yoctoNEAR, but its records hold {expected}"
    )]
    TotalSupply {
        /// The total supply that the file names, in yoctoNEAR.
        found: u128,
        /// The sum of the records, in yoctoNEAR.
        expected: u128,
    },
    /// The chain has several shards, and the node has one.
    #[error("the genesis has {found} shards; localnet has one, so shard_layout must have one")]
    Shards {
        /// How many shards the file's layout has.
        found: u64,
    },
    /// There are no validators, so nobody can produce blocks.
    #[error("the genesis has no validators; at least one is needed")]
    NoValidators,
    /// A field is zero that no chain can run with.
    #[error("the genesis has {field} = 0, which must be greater than zero")]
    Zero {
        /// The name of the field.
        field: &'static str,
    },
}

/// A chain's configuration and first state.
#[derive(Debug, Clone)]
pub struct Genesis {
    /// Everything in the genesis file but the records.
    pub config: GenesisConfig,
    /// The records that the first state consists of.
    pub records: Vec<StateRecord>,
    /// The code of global contracts that the first state has under their hashes. A genesis file
    /// has no place for them.
    pub global_contracts: Vec<Vec<u8>>,
}

impl Genesis {
    /// The genesis that `near-sandbox init --fast` creates: `validator` has 10^9 NEAR and a stake
    /// of 5 * 10^7 NEAR, `near` has 10^9 NEAR, and `key` has full access to both accounts.
    ///
    /// `time` is the time of the genesis block, in the format of RFC 3339.
    pub fn fast(
        chain_id: &str,
        protocol_version: u32,
        time: &str,
        validator: &AccountId,
        key: &PublicKey,
    ) -> Result<Self, GenesisError> {
        let amount = (INITIAL_BALANCE * NEAR).to_string();
        let stake = (INITIAL_STAKE * NEAR).to_string();
        let account = |id: &str, locked: &str| {
            json!({"Account": {"account_id": id, "account": {
                "amount": amount, "locked": locked, "storage_usage": ACCOUNT_WITH_KEY,
                "code_hash": "11111111111111111111111111111111", "version": "V1",
            }}})
        };
        let access_key = |id: &str| {
            json!({"AccessKey": {"account_id": id, "public_key": key, "access_key": {
                "nonce": 0, "permission": "FullAccess",
            }}})
        };
        // The values are those of nearcore's `init --fast` for a chain of one shard.
        Self::from_json(json!({
            "protocol_version": protocol_version,
            "genesis_time": time,
            "chain_id": chain_id,
            "genesis_height": 0,
            "num_block_producer_seats": 50,
            "dynamic_resharding": false,
            "protocol_upgrade_stake_threshold": [4, 5],
            "epoch_length": 60,
            "gas_limit": 1_000_000_000_000_000_u64,
            "min_gas_price": "100000000",
            "max_gas_price": "10000000000000000000000",
            "block_producer_kickout_threshold": 0,
            "chunk_producer_kickout_threshold": 0,
            "chunk_validator_only_kickout_threshold": 0,
            "target_validator_mandates_per_shard": 68,
            "online_min_threshold": [9, 10],
            "online_max_threshold": [99, 100],
            "gas_price_adjustment_rate": [1, 100],
            "validators": [{"account_id": validator, "public_key": key, "amount": stake}],
            "transaction_validity_period": 100,
            "protocol_reward_rate": [1, 10],
            "max_inflation_rate": [1, 20],
            "total_supply": ((2 * INITIAL_BALANCE + INITIAL_STAKE) * NEAR).to_string(),
            "num_blocks_per_year": 31_536_000,
            "protocol_treasury_account": "near",
            "fishermen_threshold": (10 * NEAR).to_string(),
            "minimum_stake_divisor": 10,
            "shard_layout": {"V0": {"num_shards": 1, "version": 0}},
            "minimum_stake_ratio": [1, 6250],
            "max_kickout_stake_perc": 100,
            "shuffle_shard_assignment_for_chunk_producers": false,
            "use_production_config": false,
            "records": [
                account(validator.as_str(), &stake),
                access_key(validator.as_str()),
                account("near", "0"),
                access_key("near"),
            ],
        }))
    }

    /// Reads a genesis in nearcore's format and checks it.
    pub fn from_json(mut value: Value) -> Result<Self, GenesisError> {
        let records = value
            .as_object_mut()
            .and_then(|object| object.remove("records"))
            .unwrap_or(Value::Array(Vec::new()));
        let genesis = Self {
            config: serde_json::from_value(value)?,
            records: serde_json::from_value(records)?,
            global_contracts: Vec::new(),
        };
        genesis.check()?;
        Ok(genesis)
    }

    /// Writes the genesis in nearcore's format.
    pub fn to_json(&self) -> Result<Value, GenesisError> {
        let mut value = serde_json::to_value(&self.config)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("records".to_owned(), serde_json::to_value(&self.records)?);
        }
        Ok(value)
    }

    /// The validators of the first epoch.
    pub fn validators(&self) -> Vec<ValidatorStake> {
        self.config
            .validators
            .iter()
            .map(|info| {
                ValidatorStake::new(info.account_id.clone(), info.public_key.clone(), info.amount)
            })
            .collect()
    }

    /// The storage usage of each account, in bytes. nearcore computes it from the records and
    /// ignores the usage that they name (`genesis/src/genesis.rs`, `runtime/src/genesis.rs`:
    /// `StorageComputer`).
    pub fn storage_usage(&self, config: &StorageUsageConfig) -> BTreeMap<AccountId, StorageUsage> {
        let extra = config.num_extra_bytes_record;
        let len = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut usage: BTreeMap<AccountId, StorageUsage> = BTreeMap::new();
        for record in &self.records {
            let (account_id, bytes) = match record {
                StateRecord::Account { account_id, .. } => (account_id, config.num_bytes_account),
                StateRecord::Data { account_id, data_key, value } => {
                    (account_id, extra + len(data_key.len()) + len(value.len()))
                }
                StateRecord::Contract { account_id, code } => (account_id, len(code.len())),
                StateRecord::AccessKey { account_id, public_key, access_key } => {
                    let size =
                        |bytes: Result<Vec<u8>, _>| bytes.map_or(0, |b: Vec<u8>| len(b.len()));
                    let key = size(borsh::to_vec(public_key).map_err(drop));
                    let value = size(borsh::to_vec::<AccessKey>(access_key).map_err(drop));
                    (account_id, extra + key + value)
                }
                StateRecord::GasKeyNonce { account_id, public_key, .. } => {
                    let key = public_key.trie_id_len() + size_of::<NonceIndex>();
                    (account_id, extra + len(key + AccessKey::NONCE_VALUE_LEN))
                }
                _ => continue,
            };
            *usage.entry(account_id.clone()).or_default() += bytes;
        }
        usage
    }

    fn check(&self) -> Result<(), GenesisError> {
        let config = &self.config;
        if !(MIN_PROTOCOL_VERSION..=MAX_PROTOCOL_VERSION).contains(&config.protocol_version) {
            return Err(GenesisError::ProtocolVersion { found: config.protocol_version });
        }
        for (field, found) in
            [("epoch_length", config.epoch_length), ("gas_limit", config.gas_limit.as_gas())]
        {
            if found == 0 {
                return Err(GenesisError::Zero { field });
            }
        }
        let found = config.shard_layout.num_shards();
        if found != 1 {
            return Err(GenesisError::Shards { found });
        }
        if config.validators.is_empty() {
            return Err(GenesisError::NoValidators);
        }
        let expected = self.supply();
        if config.total_supply.as_yoctonear() != expected {
            return Err(GenesisError::TotalSupply {
                found: config.total_supply.as_yoctonear(),
                expected,
            });
        }
        Ok(())
    }

    fn supply(&self) -> u128 {
        self.records
            .iter()
            .filter_map(|record| match record {
                StateRecord::Account { account, .. } => Some(
                    account.amount().as_yoctonear().saturating_add(account.locked().as_yoctonear()),
                ),
                _ => None,
            })
            .fold(0, u128::saturating_add)
    }
}
