//! Payments: what accounts have due, and how it gets to them. Payments from a pot go out
//! through [`Contract::pay_out`], and the deposit of a refused request through
//! [`Contract::pay_back`].
//!
//! The contract's balance is the sum of all pots ([`Funds`](crate::Funds)), the stake for the bytes
//! that no pot pays for (its code, its own state, the registry of workers), and a surplus
//! (donations, gas rewards).

use near_sdk::{AccountId, NearToken, env};
use outlayer_protocol::events::{Event, RefundBounced};

use crate::{
    Contract, MoneyError, Pot,
    effects::emit,
    funds::add,
    promises, stake,
    store::{self, Prefix},
    workers,
};

/// How much of a pot belongs to which account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    pot: Pot,
    prefix: Prefix,
}

/// What accounts have in [`Pot::Earnings`], but for what is kept with registered workers
/// ([`crate::workers`]).
pub(crate) const EARNINGS: Ledger = Ledger { pot: Pot::Earnings, prefix: Prefix::Earnings };
/// What each account has in [`Pot::Claimable`].
pub(crate) const CLAIMABLE: Ledger = Ledger { pot: Pot::Claimable, prefix: Prefix::Claimable };

impl Ledger {
    fn key(self, account_id: &AccountId) -> Vec<u8> {
        store::key(self.prefix, &[account_id.as_bytes()])
    }

    /// What an account has in the pot.
    pub(crate) fn of(self, account_id: &AccountId) -> NearToken {
        store::read(&self.key(account_id)).unwrap_or_default()
    }

    pub(crate) fn credit(
        self,
        account_id: &AccountId,
        amount: NearToken,
    ) -> Result<(), MoneyError> {
        if amount.is_zero() {
            return Ok(());
        }
        let sum = add(self.pot, self.of(account_id), amount)?;
        store::write(&self.key(account_id), &sum);
        Ok(())
    }

    /// Takes out all that an account has in the pot.
    pub(crate) fn empty(self, account_id: &AccountId) -> NearToken {
        let amount = self.of(account_id);
        store::remove(&self.key(account_id));
        amount
    }
}

impl Contract {
    /// Pays `amount` from a pot to an account. A payment that bounces comes back through
    /// [`Contract::bounced`].
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

    /// Pays back the deposit of the current call, which is in the balance and in no pot.
    pub(crate) fn pay_back(to: &AccountId) {
        let amount = env::attached_deposit();
        if !amount.is_zero() {
            promises::transfer(to, amount);
        }
    }

    /// Pays out all that an account has in a ledger, and returns what it has `attached` to the
    /// call. Gives the amount without that.
    pub(crate) fn pay_out_all(
        &mut self,
        ledger: Ledger,
        to: &AccountId,
        attached: NearToken,
    ) -> Result<NearToken, MoneyError> {
        let amount = match ledger.pot {
            Pot::Earnings => workers::take_earned(to)?,
            _ => self.for_tenant(|_| ledger.empty(to)),
        };
        self.funds.take_in(ledger.pot, attached)?;
        self.pay_out(ledger.pot, to, add(ledger.pot, amount, attached)?)?;
        Ok(amount)
    }

    /// A payment came back because its receiver does not exist any more. By now the money is in the
    /// contract's balance again.
    ///
    /// The money that is kept for the receiver pays for its own entry of state. An amount below the
    /// price of a new entry cannot do that, and goes to the protocol; otherwise accounts that come
    /// and go could fill the contract's state at its expense. A request's refund is never so small,
    /// because the reserve comes back with it.
    pub(crate) fn bounced(
        &mut self,
        account_id: &AccountId,
        amount: NearToken,
    ) -> Result<(), MoneyError> {
        let claimable = !CLAIMABLE.of(account_id).is_zero() || amount >= stake::ledger_entry_cost();
        let account = account_id.clone();
        emit(&Event::RefundBounced(RefundBounced { account_id: account, amount, claimable }));
        if !claimable {
            return self.funds.take_in(Pot::Protocol, amount);
        }
        self.funds.take_in(CLAIMABLE.pot, amount)?;
        self.for_tenant(|_| CLAIMABLE.credit(account_id, amount))
    }
}
