//! Taking out what one has earned, or what one is owed.

use near_sdk::{AccountId, NearToken, env, near, state::ContractState as _};

use super::{ONE_YOCTO, check_one_yocto, check_private};
use crate::{
    Contract, ContractError, ContractExt, Pot,
    money::{CLAIMABLE, EARNINGS, Ledger},
    promises,
};

#[near]
impl Contract {
    /// Pays the caller the payments to it that bounced. Returns the amount.
    ///
    /// # Errors
    /// [`ContractError`]: not exactly one yoctoNEAR is attached, or nothing is due.
    #[payable]
    #[handle_result]
    pub fn claim(&mut self) -> Result<NearToken, ContractError> {
        self.pay_caller(CLAIMABLE)
    }

    /// Pays the caller what it has earned as a worker. Returns the amount.
    ///
    /// # Errors
    /// [`ContractError`]: not exactly one yoctoNEAR is attached, or nothing is due.
    #[payable]
    #[handle_result]
    pub fn withdraw_earnings(&mut self) -> Result<NearToken, ContractError> {
        self.pay_caller(EARNINGS)
    }

    /// Pays the owner the protocol's share of the fees. Returns the amount.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, not exactly one yoctoNEAR is attached, or
    /// nothing is due.
    #[payable]
    #[handle_result]
    pub fn withdraw_protocol_share(&mut self) -> Result<NearToken, ContractError> {
        self.check_owner()?;
        let (owner, held) = (self.owner_id.clone(), self.funds.view().protocol);
        // What is attached to this call goes back with the share.
        let amount = held.saturating_sub(ONE_YOCTO);
        if amount.is_zero() {
            return Err(ContractError::NothingDue { account_id: owner });
        }
        self.pay_out(Pot::Protocol, &owner, held)?;
        Ok(amount)
    }

    /// Pays the owner what the contract has beyond all pots and what its own bytes cost: gifts, and
    /// before protocol version 87 a part of the gas. Returns the amount.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, not exactly one yoctoNEAR is attached, or
    /// there is no surplus.
    #[payable]
    #[handle_result]
    pub fn withdraw_surplus(&mut self) -> Result<NearToken, ContractError> {
        self.check_owner()?;
        let (owner, amount) = (self.owner_id.clone(), self.surplus());
        if amount.is_zero() {
            return Err(ContractError::NothingDue { account_id: owner });
        }
        promises::transfer(&owner, amount);
        Ok(amount)
    }

    /// The callback of every payment. A payment that bounced becomes claimable. Nearly every
    /// payment arrives, and then the call does not read the contract's state, nor write it.
    ///
    /// # Errors
    /// [`ContractError::Private`] when it is called from outside.
    #[handle_result]
    pub fn on_refund(account_id: AccountId, amount: NearToken) -> Result<(), ContractError> {
        check_private()?;
        if promises::arrived() {
            return Ok(());
        }
        let mut contract =
            Self::state_read().unwrap_or_else(|| env::panic_str("there is no state to book it"));
        contract.bounced(&account_id, amount)?;
        contract.state_write();
        Ok(())
    }
}

impl Contract {
    fn pay_caller(&mut self, ledger: Ledger) -> Result<NearToken, ContractError> {
        check_one_yocto()?;
        let caller = env::predecessor_account_id();
        let amount = self.pay_out_all(ledger, &caller, ONE_YOCTO)?;
        if amount.is_zero() {
            return Err(ContractError::NothingDue { account_id: caller });
        }
        Ok(amount)
    }
}
