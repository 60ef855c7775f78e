//! The contract's storage stake: NEAR lets no account hold less than its bytes cost.
//!
//! Most bytes are there for somebody who has paid for them: live requests, namespaces and published code, each backed by
//! its pot for as long as it lives. Those are counted ([`Contract::for_tenant`]); every other byte, the contract's
//! code, registry and ledgers, must be backed by money that belongs to no pot.

use near_sdk::{NearToken, env};

use crate::{Contract, ContractError, namespace};

/// Bytes of one entry of a ledger, for the longest account id: the trie's own, the key, the amount.
const LEDGER_ENTRY_BYTES: u64 = 40 + (1 + 64) + 16;

impl Contract {
    /// Changes state whose bytes a pot pays for, and counts them.
    pub(crate) fn for_tenant<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        let before = env::storage_usage();
        let result = change(self);
        let after = env::storage_usage();
        self.tenant_bytes = self.tenant_bytes.saturating_add(after).saturating_sub(before);
        result
    }

    /// What belongs to no pot, and what it must be at least: the cost of the contract's own bytes, with those that
    /// settling all live requests can add (an entry for each worker that is paid, one for each refund that bounces).
    fn own_stake(&self) -> (NearToken, NearToken) {
        let own = env::account_balance().saturating_sub(self.funds.total());
        let entries = u64::from(self.registered_workers).saturating_add(self.live_requests.into());
        let bytes = env::storage_usage()
            .saturating_sub(self.tenant_bytes)
            .saturating_add(entries.saturating_mul(LEDGER_ENTRY_BYTES));
        (own, namespace::cost(bytes))
    }

    /// Refuses what would let the contract take on more while its own money falls short of its stake. What lives already is
    /// settled all the same.
    pub(crate) fn check_stake(&self) -> Result<(), ContractError> {
        let (found, needed) = self.own_stake();
        if found < needed {
            return Err(ContractError::Stake { found, needed });
        }
        Ok(())
    }
}
