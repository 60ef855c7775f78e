//! Calls about storage: the namespace of keys and values that this contract has in OutLayer, which
//! the guests of its requests read and write.

use near_sdk::{AccountId, NearToken};
use outlayer_json::ToJson;
use outlayer_protocol::{Bytes, methods};

use crate::{Call, Outlayer};

/// NEP-145 asks for exactly this deposit where a call moves money out.
pub(crate) const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);

impl Outlayer {
    /// Pays for bytes of an account's namespace (this contract's, unless another is named) with the
    /// attached deposit. The callback reads a [`StorageBalance`](crate::StorageBalance) with
    /// [`result`](crate::result()).
    pub fn storage_deposit(self, account_id: Option<&AccountId>) -> Call {
        #[derive(ToJson)]
        struct Args<'a> {
            account_id: Option<&'a AccountId>,
        }
        self.call_other(methods::STORAGE_DEPOSIT, &Args { account_id })
    }

    /// Sets a key. What is attached beyond the [change fee](Self::get_change_fee) is added to the
    /// storage deposit.
    pub fn storage_set(self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Call {
        #[derive(ToJson)]
        struct Args {
            key: Bytes,
            value: Bytes,
        }
        let args = Args { key: key.into(), value: value.into() };
        self.call_other(methods::STORAGE_SET, &args)
    }

    /// Sets several keys, all of them or none. What is attached beyond the
    /// [change fee](Self::get_change_fee), which is due once, is added to the storage deposit.
    pub fn storage_set_many(self, entries: &[(Bytes, Bytes)]) -> Call {
        #[derive(ToJson)]
        struct Args<'a> {
            entries: &'a [(Bytes, Bytes)],
        }
        self.call_other(methods::STORAGE_SET_MANY, &Args { entries })
    }

    /// Removes a key, which frees its bytes. What is attached beyond the
    /// [change fee](Self::get_change_fee) is added to the storage deposit. The callback reads a
    /// `bool`, whether the key was there, with [`result`](crate::result()).
    pub fn storage_remove(self, key: impl Into<Bytes>) -> Call {
        #[derive(ToJson)]
        struct Args {
            key: Bytes,
        }
        self.call_other(methods::STORAGE_REMOVE, &Args { key: key.into() })
    }

    /// Removes up to `limit` keys, for the same [change fee](Self::get_change_fee) as one. The
    /// callback reads a `u32`, how many keys are left, with [`result`](crate::result()).
    pub fn storage_clear(self, limit: u32) -> Call {
        #[derive(ToJson)]
        struct Args {
            limit: u32,
        }
        self.call_other(methods::STORAGE_CLEAR, &Args { limit })
    }

    /// Asks what a call that sets or removes keys of an account's namespace must attach now. It is
    /// 0 unless requests of the account are live that may read storage. The callback reads a
    /// `NearToken` with [`result`](crate::result()).
    pub fn get_change_fee(self, account_id: &AccountId) -> Call {
        #[derive(ToJson)]
        struct Args<'a> {
            account_id: &'a AccountId,
        }
        self.call_other(methods::GET_CHANGE_FEE, &Args { account_id })
    }

    /// Takes out `amount` of the storage deposit, or all of it that no stored byte needs. It comes
    /// to this contract, with the yoctoNEAR that this call attaches.
    pub fn storage_withdraw(self, amount: Option<NearToken>) -> Call {
        #[derive(ToJson)]
        struct Args {
            amount: Option<NearToken>,
        }
        let call = self.with_attached_deposit(ONE_YOCTO);
        call.call_other(methods::STORAGE_WITHDRAW, &Args { amount })
    }

    /// Closes the namespace. Its whole deposit comes to this contract, with the yoctoNEAR that this
    /// call attaches. With `force` its keys are removed first, as many as the gas allows.
    pub fn storage_unregister(self, force: bool) -> Call {
        #[derive(ToJson)]
        struct Args {
            force: bool,
        }
        let call = self.with_attached_deposit(ONE_YOCTO);
        call.call_other(methods::STORAGE_UNREGISTER, &Args { force })
    }

    /// Asks for an account's balance. The callback reads an
    /// `Option<`[`StorageBalance`](crate::StorageBalance)`>` with [`result`](crate::result()).
    pub fn storage_balance_of(self, account_id: &AccountId) -> Call {
        #[derive(ToJson)]
        struct Args<'a> {
            account_id: &'a AccountId,
        }
        self.call_other(methods::STORAGE_BALANCE_OF, &Args { account_id })
    }
}
