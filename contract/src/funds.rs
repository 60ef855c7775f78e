//! The contract's books: how much money it holds, by purpose. Every movement is checked, so that no
//! amount wraps or falls below zero.

use near_sdk::{NearToken, near};
use outlayer_protocol::{RefusalCode, views::FundsView};

/// A purpose for which the contract holds money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pot {
    /// Deposits of live requests.
    Deposits,
    /// Shares of settled requests that workers may still take.
    Shares,
    /// What workers have earned and not yet withdrawn.
    Earnings,
    /// The protocol's share of fees, not yet withdrawn.
    Protocol,
    /// Payments that bounced.
    Claimable,
    /// Storage deposits of namespaces.
    Storage,
    /// Deposits for published code.
    Code,
    /// What is held for results that are kept.
    Results,
}

/// A movement that the books do not allow. It takes a bug to get here. The call fails, and no money
/// has moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// A pot or ledger holds less than is taken from it.
    #[error("{pot:?} holds {found}, less than the {needed} that is due")]
    Short {
        /// The pot that has too little.
        pot: Pot,
        /// What it holds.
        found: NearToken,
        /// What is to be taken from it.
        needed: NearToken,
    },
    /// The sum would be 2^128 yoctoNEAR or more.
    #[error("{pot:?} holds {found}; {added} more does not fit into 128 bits")]
    Overflow {
        /// The pot that would overflow.
        pot: Pot,
        /// What it holds.
        found: NearToken,
        /// What is to be added to it.
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

/// All pots, in yoctoNEAR.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funds {
    deposits: NearToken,
    shares: NearToken,
    earnings: NearToken,
    protocol: NearToken,
    claimable: NearToken,
    storage: NearToken,
    code: NearToken,
    results: NearToken,
}

/// What `pot` holds when `added` is added to the `found` that it holds now.
pub(crate) fn add(pot: Pot, found: NearToken, added: NearToken) -> Result<NearToken, MoneyError> {
    found.checked_add(added).ok_or(MoneyError::Overflow { pot, found, added })
}

fn subtract(pot: Pot, found: NearToken, needed: NearToken) -> Result<NearToken, MoneyError> {
    found.checked_sub(needed).ok_or(MoneyError::Short { pot, found, needed })
}

impl Funds {
    /// The books of a layout that had neither shares nor results.
    pub(crate) fn of_former_layout(pots: [NearToken; 6]) -> Self {
        let [deposits, earnings, protocol, claimable, storage, code] = pots;
        Self { deposits, earnings, protocol, claimable, storage, code, ..Self::default() }
    }

    fn pot(&mut self, pot: Pot) -> &mut NearToken {
        match pot {
            Pot::Deposits => &mut self.deposits,
            Pot::Shares => &mut self.shares,
            Pot::Earnings => &mut self.earnings,
            Pot::Protocol => &mut self.protocol,
            Pot::Claimable => &mut self.claimable,
            Pot::Storage => &mut self.storage,
            Pot::Code => &mut self.code,
            Pot::Results => &mut self.results,
        }
    }

    /// Books money that has come in.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn take_in(&mut self, to: Pot, amount: NearToken) -> Result<(), MoneyError> {
        let pot = self.pot(to);
        *pot = add(to, *pot, amount)?;
        Ok(())
    }

    /// Books money that goes out.
    ///
    /// # Errors
    /// [`MoneyError::Short`].
    pub fn take_out(&mut self, from: Pot, amount: NearToken) -> Result<(), MoneyError> {
        let pot = self.pot(from);
        *pot = subtract(from, *pot, amount)?;
        Ok(())
    }

    /// Books money that changes its purpose.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn shift(&mut self, from: Pot, to: Pot, amount: NearToken) -> Result<(), MoneyError> {
        self.take_out(from, amount)?;
        self.take_in(to, amount)
    }

    /// The sum of all pots.
    pub fn total(&self) -> NearToken {
        let Self { deposits, shares, earnings, protocol, claimable, storage, code, results } =
            *self;
        [deposits, shares, earnings, protocol, claimable, storage, code, results]
            .into_iter()
            .fold(NearToken::ZERO, NearToken::saturating_add)
    }

    /// The pots as the view `get_funds` shows them.
    pub fn view(&self) -> FundsView {
        let Self { deposits, shares, earnings, protocol, claimable, storage, code, results } =
            *self;
        FundsView { deposits, shares, earnings, protocol, claimable, storage, code, results }
    }
}
