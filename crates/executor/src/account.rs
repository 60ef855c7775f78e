//! The fuel of a component, which two sides count.
//!
//! The modules of a component count in a global of theirs, which nobody else reads while they run.
//! So host functions add up what they charge here. Each side ends the execution when it alone comes
//! to more than there is. Otherwise it is known at the end whether both together do.

use outlayer_guest::{Stop, prepare::meter::SUPPLY_LENGTH_BITS};

/// What the host knows of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// What there is, not below zero.
    supply: i64,
    /// How many bits the modules have asked for.
    asked: u32,
    /// What host functions have charged.
    charged: u64,
    /// What the modules have left of the supply. They may have wanted more than that.
    left: i64,
}

impl Account {
    /// An account of an execution that may use as much as this. The counter of the modules is
    /// signed: a limit that needs 64 bits counts as the highest that does not.
    pub(crate) fn new(limit: u64) -> Self {
        let supply = i64::try_from(limit).unwrap_or(i64::MAX);
        Self { supply, asked: 0, charged: 0, left: supply }
    }

    /// Charges what a host function costs.
    ///
    /// # Errors
    /// When host functions have then charged more than there is.
    pub(crate) fn charge(&mut self, cost: u64) -> Result<(), Stop> {
        self.charged = self.charged.saturating_add(cost);
        if self.charged > self.supply.unsigned_abs() { Err(Stop::OutOfCompute) } else { Ok(()) }
    }

    /// Answers the modules the next bit: first of the number of bits that the supply has, then of
    /// the supply, the highest first.
    pub(crate) fn next_bit(&mut self) -> bool {
        self.asked = self.asked.saturating_add(1);
        let supply = self.supply.unsigned_abs();
        let length = u64::BITS - supply.leading_zeros();
        let (number, bit) = match SUPPLY_LENGTH_BITS.checked_sub(self.asked) {
            Some(bit) => (length.into(), Some(bit)),
            None => (supply, (SUPPLY_LENGTH_BITS + length).checked_sub(self.asked)),
        };
        bit.is_some_and(|bit| number >> bit & 1 == 1)
    }

    /// Notes what the modules have left.
    pub(crate) fn note(&mut self, left: i64) {
        self.left = left;
    }

    /// What both have used, at most what there was, and whether they wanted more.
    pub(crate) fn used(&self) -> (u64, bool) {
        let supply = i128::from(self.supply);
        let used = supply - i128::from(self.left) + i128::from(self.charged);
        let limit = self.supply.unsigned_abs();
        (u64::try_from(used).unwrap_or(u64::MAX).min(limit), used > supply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_together_may_use_what_there_is() {
        let used = |charged: &[u64], left| {
            let mut account = Account::new(100);
            for cost in charged {
                let _ = account.charge(*cost);
            }
            account.note(left);
            account.used()
        };
        assert_eq!(used(&[], 100), (0, false));
        assert_eq!(used(&[10, 20], 60), (70, false));
        assert_eq!(used(&[40], 40), (100, false));
        assert_eq!(used(&[41], 40), (100, true));
        assert_eq!(used(&[], -1), (100, true));
        assert_eq!(used(&[101], 100), (100, true));
        assert_eq!(used(&[u64::MAX, u64::MAX], i64::MIN), (100, true));
    }

    #[test]
    fn host_functions_stop_when_they_alone_charge_more() {
        let mut account = Account::new(100);
        assert_eq!(account.charge(100), Ok(()));
        assert_eq!(account.charge(0), Ok(()));
        assert_eq!(account.charge(1), Err(Stop::OutOfCompute));
        assert_eq!(account.charge(0), Err(Stop::OutOfCompute));
    }

    #[test]
    fn the_bits_are_those_of_the_supply() {
        for limit in [0, 1, 2, 1_000_003, 1 << 62, i64::MAX as u64, u64::MAX] {
            let mut account = Account::new(limit);
            let mut ask =
                |bits| (0..bits).fold(0, |told, _| told << 1 | u64::from(account.next_bit()));
            let length = ask(u64::from(SUPPLY_LENGTH_BITS));
            assert_eq!(ask(length), limit.min(i64::MAX as u64));
            assert_eq!(ask(100), 0);
        }
    }
}
