//! What it costs to change a namespace directly while requests are live that may read it.
//!
//! A worker that has read a key executes again when the key has changed before its answer is taken.
//! Nobody pays for the first execution then. If changes were free, the owner of a namespace could
//! have workers execute until the deadline and get the whole deposit back. So each change pays what
//! the live readers would pay for one more answer, to the protocol. An owner that does not want to
//! pay waits until its own requests are settled. Only the account that owns the namespace makes
//! requests that read it, so nobody else can make its changes dearer.

use near_sdk::{AccountId, NearToken, env};

use crate::{
    Contract, ContractError, NamespaceError, Pot,
    store::{self, Prefix},
};

fn key(account_id: &AccountId) -> Vec<u8> {
    store::key(Prefix::ChangeFee, &[account_id.as_bytes()])
}

/// What a change of the account's namespace costs now.
pub(crate) fn of(account_id: &AccountId) -> NearToken {
    store::read(&key(account_id)).unwrap_or_default()
}

/// A request begins to live. The bytes are part of its reserve.
pub(crate) fn raise(account_id: &AccountId, by: NearToken) {
    if !by.is_zero() {
        store::write(&key(account_id), &of(account_id).saturating_add(by));
    }
}

/// A request has ended.
pub(crate) fn lower(account_id: &AccountId, by: NearToken) {
    if by.is_zero() {
        return;
    }
    let rest = of(account_id).saturating_sub(by);
    if rest.is_zero() {
        store::remove(&key(account_id));
    } else {
        store::write(&key(account_id), &rest);
    }
}

impl Contract {
    /// Takes the fee for a change of the account's namespace from what is attached, and gives the
    /// rest of it.
    pub(crate) fn charge_change(
        &mut self,
        account_id: &AccountId,
    ) -> Result<NearToken, ContractError> {
        let (found, needed) = (env::attached_deposit(), of(account_id));
        let rest =
            found.checked_sub(needed).ok_or(NamespaceError::LiveReaders { found, needed })?;
        self.funds.take_in(Pot::Protocol, needed)?;
        Ok(rest)
    }
}
