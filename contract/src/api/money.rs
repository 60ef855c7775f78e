//! Taking out what one has earned, or what one is owed.

use near_sdk::{AccountId, NearToken, env, near};

use super::check_private;
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
    /// [`ContractError::NothingDue`].
    #[handle_result]
    pub fn claim(&mut self) -> Result<NearToken, ContractError> {
        self.pay_caller(CLAIMABLE)
    }

    /// Pays the caller what it has earned as a worker. Returns the amount.
    ///
    /// # Errors
    /// [`ContractError::NothingDue`].
    #[handle_result]
    pub fn withdraw_earnings(&mut self) -> Result<NearToken, ContractError> {
        self.pay_caller(EARNINGS)
    }

    /// Pays the owner the protocol's share of the fees. Returns the amount.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or nothing is due.
    #[handle_result]
    pub fn withdraw_protocol_share(&mut self) -> Result<NearToken, ContractError> {
        self.check_owner()?;
        let (owner, amount) = (self.owner_id.clone(), self.get_funds().protocol);
        if amount.is_zero() {
            return Err(ContractError::NothingDue { account_id: owner });
        }
        self.pay_out(Pot::Protocol, &owner, amount)?;
        Ok(amount)
    }

    /// The callback of every payment. A payment that bounced becomes claimable.
    ///
    /// # Errors
    /// [`ContractError::Private`] when it is called from outside.
    #[handle_result]
    pub fn on_refund(
        &mut self,
        account_id: AccountId,
        amount: NearToken,
    ) -> Result<(), ContractError> {
        check_private()?;
        if !promises::arrived() {
            self.bounced(&account_id, amount)?;
        }
        Ok(())
    }
}

impl Contract {
    fn pay_caller(&mut self, ledger: Ledger) -> Result<NearToken, ContractError> {
        let caller = env::predecessor_account_id();
        let amount = self.pay_out_all(ledger, &caller)?;
        if amount.is_zero() {
            return Err(ContractError::NothingDue { account_id: caller });
        }
        Ok(amount)
    }
}
