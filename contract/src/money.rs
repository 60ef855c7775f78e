//! Where the contract's money belongs. Every movement goes through [`Funds`], which adds and subtracts with checks, and
//! every payment out through [`Contract::pay_out`].
//!
//! The contract's balance is the sum of all pots, the stake of the bytes that no pot pays for (its code, its own
//! state, the registry), and a surplus (donations, gas rewards).

use near_sdk::{AccountId, NearToken, near};
use outlayer_protocol::{RefusalCode, views::FundsView};

use crate::{
    Contract, promises, stake,
    store::{self, Prefix},
};

/// A purpose for which money is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pot {
    /// Deposits of live requests.
    Deposits,
    /// Workers' earnings.
    Earnings,
    /// The protocol's share.
    Protocol,
    /// Payments that bounced.
    Claimable,
    /// Namespaces' storage deposits.
    Storage,
    /// Deposits for published code.
    Code,
}

/// A movement that the books do not allow. Reaching one is a bug: the call fails, and nothing has moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// A pot or ledger holds less than is taken from it.
    #[error("{pot:?} holds {found}, less than the {needed} that is due")]
    Short {
        /// The pot.
        pot: Pot,
        /// What it holds.
        found: NearToken,
        /// What is due.
        needed: NearToken,
    },
    /// More than 2^128 yoctoNEAR.
    #[error("{pot:?} holds {found}; {added} more does not fit into 128 bits")]
    Overflow {
        /// The pot.
        pot: Pot,
        /// What it holds.
        found: NearToken,
        /// What was to be added.
        added: NearToken,
    },
}

impl MoneyError {
    /// The code with which the panic's text starts.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Short { .. } => RefusalCode::PotShort,
            Self::Overflow { .. } => RefusalCode::PotOverflow,
        }
    }
}

/// The pots, yoctoNEAR.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funds {
    deposits: NearToken,
    earnings: NearToken,
    protocol: NearToken,
    claimable: NearToken,
    storage: NearToken,
    code: NearToken,
}

fn add(pot: Pot, found: NearToken, added: NearToken) -> Result<NearToken, MoneyError> {
    found.checked_add(added).ok_or(MoneyError::Overflow { pot, found, added })
}

fn subtract(pot: Pot, found: NearToken, needed: NearToken) -> Result<NearToken, MoneyError> {
    found.checked_sub(needed).ok_or(MoneyError::Short { pot, found, needed })
}

impl Funds {
    fn pot(&mut self, pot: Pot) -> &mut NearToken {
        match pot {
            Pot::Deposits => &mut self.deposits,
            Pot::Earnings => &mut self.earnings,
            Pot::Protocol => &mut self.protocol,
            Pot::Claimable => &mut self.claimable,
            Pot::Storage => &mut self.storage,
            Pot::Code => &mut self.code,
        }
    }

    /// Money that has come in.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn take_in(&mut self, to: Pot, amount: NearToken) -> Result<(), MoneyError> {
        let pot = self.pot(to);
        *pot = add(to, *pot, amount)?;
        Ok(())
    }

    /// Money that goes out.
    ///
    /// # Errors
    /// [`MoneyError::Short`].
    pub fn take_out(&mut self, from: Pot, amount: NearToken) -> Result<(), MoneyError> {
        let pot = self.pot(from);
        *pot = subtract(from, *pot, amount)?;
        Ok(())
    }

    /// Money that changes its purpose.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn shift(&mut self, from: Pot, to: Pot, amount: NearToken) -> Result<(), MoneyError> {
        self.take_out(from, amount)?;
        self.take_in(to, amount)
    }

    /// All pots together.
    pub fn total(&self) -> NearToken {
        let Self { deposits, earnings, protocol, claimable, storage, code } = *self;
        [deposits, earnings, protocol, claimable, storage, code]
            .into_iter()
            .fold(NearToken::ZERO, NearToken::saturating_add)
    }

    /// The pots as a view.
    pub fn view(&self) -> FundsView {
        let Self { deposits, earnings, protocol, claimable, storage, code } = *self;
        FundsView { deposits, earnings, protocol, claimable, storage, code }
    }
}

/// Who has a part of which size in a pot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    pot: Pot,
    prefix: Prefix,
}

/// Parts of [`Pot::Earnings`].
pub(crate) const EARNINGS: Ledger = Ledger { pot: Pot::Earnings, prefix: Prefix::Earnings };
/// Parts of [`Pot::Claimable`].
pub(crate) const CLAIMABLE: Ledger = Ledger { pot: Pot::Claimable, prefix: Prefix::Claimable };

impl Ledger {
    fn key(self, account_id: &AccountId) -> Vec<u8> {
        store::key(self.prefix, &[account_id.as_bytes()])
    }

    /// An account's part.
    pub(crate) fn of(self, account_id: &AccountId) -> NearToken {
        store::read(&self.key(account_id)).unwrap_or_default()
    }

    fn credit(self, account_id: &AccountId, amount: NearToken) -> Result<(), MoneyError> {
        if amount.is_zero() {
            return Ok(());
        }
        let sum = add(self.pot, self.of(account_id), amount)?;
        store::write(&self.key(account_id), &sum);
        Ok(())
    }

    /// Takes the whole part.
    fn empty(self, account_id: &AccountId) -> NearToken {
        let amount = self.of(account_id);
        store::remove(&self.key(account_id));
        amount
    }
}

impl Contract {
    /// Pays `amount` from a pot to an account. What bounces comes back through [`Contract::bounced`].
    pub(crate) fn pay_out(
        &mut self,
        from: Pot,
        to: &AccountId,
        amount: NearToken,
    ) -> Result<(), MoneyError> {
        if amount.is_zero() {
            return Ok(());
        }
        self.funds.take_out(from, amount)?;
        promises::transfer(to, amount);
        Ok(())
    }

    /// Pays out the whole part of an account in a ledger, and says how much it was.
    pub(crate) fn pay_out_part(
        &mut self,
        ledger: Ledger,
        to: &AccountId,
    ) -> Result<NearToken, MoneyError> {
        let amount = match ledger.pot {
            Pot::Claimable => self.for_tenant(|_| ledger.empty(to)),
            _ => ledger.empty(to),
        };
        self.pay_out(ledger.pot, to, amount)?;
        Ok(amount)
    }

    /// Moves a part of a live request's deposit to what an account has earned.
    pub(crate) fn earn(
        &mut self,
        account_id: &AccountId,
        amount: NearToken,
    ) -> Result<(), MoneyError> {
        self.funds.shift(Pot::Deposits, EARNINGS.pot, amount)?;
        EARNINGS.credit(account_id, amount)
    }

    /// A payment came back because its receiver is no more. The money has returned to the balance before.
    ///
    /// What is kept for the receiver pays for its own entry while it is there. An amount below what a new entry costs cannot,
    /// and goes to the protocol: otherwise accounts that come and go could fill the contract's state at its own expense. A
    /// request's refund is never so small, the reserve comes back with it.
    pub(crate) fn bounced(
        &mut self,
        account_id: &AccountId,
        amount: NearToken,
    ) -> Result<(), MoneyError> {
        if CLAIMABLE.of(account_id).is_zero() && amount < stake::ledger_entry_cost() {
            return self.funds.take_in(Pot::Protocol, amount);
        }
        self.funds.take_in(CLAIMABLE.pot, amount)?;
        self.for_tenant(|_| CLAIMABLE.credit(account_id, amount))
    }
}
