//! The contract's storage stake. NEAR demands that an account's balance covers the cost of its
//! bytes.
//!
//! Most bytes are there for somebody who has paid for them: live requests, namespaces, published
//! code and claimable payments, each backed by its pot for as long as it lives.
//! [`Contract::for_tenant`] counts those bytes. Every other byte (the contract's code, the registry
//! of workers, their earnings) must be backed by money that belongs to no pot.
//!
//! The list of recent code is counted with them, though no pot pays for it: the contract's own
//! money backs all that it can ever take, however much of it there is.

use near_sdk::{NearToken, env};

use crate::{Contract, ContractError, Funds, namespace, recent_code};

/// Bytes of one entry of a ledger, for the longest account id: what NEAR adds, the key, the amount.
const LEDGER_ENTRY_BYTES: u64 = 40 + (1 + 64) + 16;
/// Bytes by which the contract's own state can grow: the account to which the ownership is offered,
/// an announced upgrade, and all of the list of recent code, which anybody may fill.
const STATE_GROWTH_BYTES: u64 = (4 + 64) + (32 + 8) + recent_code::MOST_BYTES;

/// What the bytes of a new entry of a ledger cost.
pub(crate) fn ledger_entry_cost() -> NearToken {
    namespace::cost(LEDGER_ENTRY_BYTES)
}

impl Contract {
    /// Changes state whose bytes a pot pays for, and counts them.
    pub(crate) fn for_tenant<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        let before = env::storage_usage();
        let result = change(self);
        let after = env::storage_usage();
        self.tenant_bytes = self.tenant_bytes.saturating_add(after).saturating_sub(before);
        result
    }

    /// The part of the balance that belongs to no pot, and the least that it must be: the cost of
    /// the contract's own bytes, including those that can still come while it takes nothing new on
    /// (an entry for each worker that is paid).
    fn own_stake(&self, funds: &Funds) -> (NearToken, NearToken) {
        let own = env::account_balance().saturating_sub(funds.total());
        let bytes = env::storage_usage()
            .saturating_sub(self.tenant_bytes)
            .saturating_add(u64::from(self.roster.registered).saturating_mul(LEDGER_ENTRY_BYTES))
            .saturating_add(STATE_GROWTH_BYTES);
        (own, namespace::cost(bytes))
    }

    /// What the contract has beyond all pots and what its own bytes cost.
    pub(crate) fn surplus(&self) -> NearToken {
        let (own, needed) = self.own_stake(&self.funds);
        own.saturating_sub(needed)
    }

    /// Checks that the contract's own money covers its own bytes. A call that would have the
    /// contract take on something new fails otherwise; requests that live are settled all the same.
    pub(crate) fn check_stake(&self) -> Result<(), ContractError> {
        self.check_stake_with(&self.funds)
    }

    /// Makes the check of [`Self::check_stake`] before `funds` become the contract's, so that
    /// nothing has changed when it fails.
    pub(crate) fn check_stake_with(&self, funds: &Funds) -> Result<(), ContractError> {
        let (found, needed) = self.own_stake(funds);
        if found < needed {
            return Err(ContractError::Stake { found, needed });
        }
        Ok(())
    }
}
