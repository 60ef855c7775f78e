//! Upgrading the contract's code and state.
//!
//! The owner can replace the code, and with it every rule: whoever holds the owner's key holds the contract. What
//! limits that is time. An upgrade is proposed by the hash of its code, and can be made only after everything that was live
//! when it was proposed has ended, so that nobody's request is settled by code that was not announced when it was
//! made. Deployment and [`migrate`](Contract::migrate) are one batch: if the new code cannot read the state, the old code stays.

use near_sdk::{env, near, state::ContractState};
use outlayer_protocol::Hash32;

use super::check_private;
use crate::{Contract, ContractError, ContractExt, LAYOUT, migration, promises, state::Upgrade};

/// The least delay, blocks; a longer one follows from the requests that live.
const MIN_DELAY_BLOCKS: u64 = 400;

#[near]
impl Contract {
    /// Announces an upgrade to the code of this SHA-256; without one, takes the announcement back.
    ///
    /// # Errors
    /// [`ContractError::NotTheOwner`].
    #[handle_result]
    pub fn propose_upgrade(&mut self, code_hash: Option<Hash32>) -> Result<(), ContractError> {
        self.check_owner()?;
        let soonest = env::block_height().saturating_add(MIN_DELAY_BLOCKS);
        let from_height = soonest.max(self.live_until);
        self.upgrade = code_hash.map(|code_hash| Upgrade { code_hash, from_height });
        Ok(())
    }

    /// Deploys the code that was announced and migrates the state. The argument is the code itself, nothing around it.
    ///
    /// # Errors
    /// [`ContractError`]: not the owner, nothing announced, other code, too early.
    #[handle_result]
    pub fn upgrade(&mut self) -> Result<(), ContractError> {
        self.check_owner()?;
        let code = env::input().unwrap_or_default();
        let (found, height) = (Hash32::of(&code), env::block_height());
        let Some(Upgrade { code_hash, from_height }) = self.upgrade.take() else {
            return Err(ContractError::NoUpgrade);
        };
        if found != code_hash {
            return Err(ContractError::UpgradeCode { found, expected: code_hash });
        }
        if height < from_height {
            return Err(ContractError::UpgradeTooEarly { height, from_height });
        }
        promises::deploy(&code);
        Ok(())
    }

    /// Called on new code, by the contract itself: brings the state to the layout that the code reads.
    ///
    /// # Errors
    /// [`ContractError`]: called from outside, a layout that this code does not know.
    #[init(ignore_state)]
    #[handle_result]
    pub fn migrate() -> Result<Self, ContractError> {
        check_private()?;
        let state = env::storage_read(Self::state_key()).unwrap_or_default();
        let layout = state.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
        match layout {
            Some(LAYOUT) => Self::state_read().ok_or(ContractError::Layout { found: layout }),
            Some(1) => migration::from_layout_1(&state),
            found => Err(ContractError::Layout { found }),
        }
    }

    /// The upgrade that is announced.
    pub fn get_upgrade(&self) -> Option<Upgrade> {
        self.upgrade.clone()
    }
}
