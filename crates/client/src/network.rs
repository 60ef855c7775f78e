//! Which network an endpoint serves.

use std::fmt;

use near_primitives::hash::CryptoHash;

/// A NEAR network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name, such as `mainnet`. Anybody may give a network any name.
    pub chain_id: String,
    /// The hash of its first block.
    pub genesis_hash: CryptoHash,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the network {:?} with genesis {}", self.chain_id, self.genesis_hash)
    }
}
