//! Upgrading the contract's code and state.
//!
//! The owner can replace the code, and with it every rule: whoever has the owner's key controls the
//! contract. Time limits that power. An upgrade is announced by the hash of its code, and can only
//! be made when every request that was live at the announcement has ended. So no request is settled
//! by code that was not announced when the request was made. Deployment and
//! [`migrate`](Contract::migrate) are one batch: if the new code cannot read the state, the old
//! code stays.

use near_sdk::{env, near, state::ContractState};
use outlayer_protocol::{
    Hash32,
    events::{Event, UpgradeMade, UpgradeProposed},
};

use super::check_private;
use crate::{
    Contract, ContractError, ContractExt, LAYOUT, bounds::MIN_UPGRADE_DELAY_BLOCKS, effects::emit,
    migration, promises, state::Upgrade,
};

#[near]
impl Contract {
    /// Announces an upgrade to the code with this SHA-256. Without a hash, takes the announcement
    /// back.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or not exactly one yoctoNEAR is attached.
    #[payable]
    #[handle_result]
    pub fn propose_upgrade(&mut self, code_hash: Option<Hash32>) -> Result<(), ContractError> {
        self.check_owner()?;
        let soonest = env::block_height().saturating_add(MIN_UPGRADE_DELAY_BLOCKS);
        let from_height = soonest.max(self.live_until);
        self.upgrade = code_hash.map(|code_hash| Upgrade { code_hash, from_height });
        emit(&Event::UpgradeProposed(UpgradeProposed { code_hash, from_height }));
        Ok(())
    }

    /// Deploys the announced code and migrates the state. The argument is the code itself, without
    /// any encoding.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, nothing is announced, the code is not the
    /// announced one, or it is too early.
    #[payable]
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
        promises::deploy(&code, &code_hash);
        Ok(())
    }

    /// Called on new code by the contract itself: brings the state to the layout that the code
    /// reads. The argument is the SHA-256 of the code, 32 bytes.
    ///
    /// # Errors
    /// [`ContractError`]: another account calls, requests are live that the new code could not
    /// read, or the code does not know the layout.
    #[init(ignore_state)]
    #[handle_result]
    pub fn migrate() -> Result<Self, ContractError> {
        check_private()?;
        let state = env::storage_read(Self::state_key()).unwrap_or_default();
        let layout = state.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
        let contract = match layout {
            Some(LAYOUT) => Self::state_read().ok_or(ContractError::Layout { found: layout }),
            Some(1 | 2) => migration::migrate(&state),
            found => Err(ContractError::Layout { found }),
        }?;
        // The code that deployed this one says which it is. Layouts 1 and 2 did not.
        let code_hash = env::input().and_then(|hash| hash.try_into().ok()).map(Hash32);
        emit(&Event::UpgradeMade(UpgradeMade { code_hash, layout: LAYOUT }));
        Ok(contract)
    }

    /// The announced upgrade, if there is one.
    pub fn get_upgrade(&self) -> Option<Upgrade> {
        self.upgrade.clone()
    }
}
