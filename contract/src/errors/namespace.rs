//! What can be wrong with a change to a storage namespace.

use near_sdk::{AccountId, NearToken};
use outlayer_protocol::{Bytes, RefusalCode, storage::StorageError};

use crate::locks::Lock;

/// Why a namespace cannot be changed, or its deposit not be taken out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// The account has no namespace.
    #[error("{account_id} is not registered: call storage_deposit first")]
    NotRegistered {
        /// The account that is not registered.
        account_id: AccountId,
    },
    /// A key or value is out of bounds.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A staged response has locked the key.
    #[error("the key {key:?} is locked until {by}")]
    Locked {
        /// The locked key.
        key: Bytes,
        /// The request or requests that have locked it.
        by: Lock,
    },
    /// The deposit does not pay for the bytes.
    #[error(
        "{account_id} has {used_bytes} bytes stored and a deposit of {} yoctoNEAR, which pays for \
         {paid_bytes}",
        deposit.as_yoctonear()
    )]
    Unpaid {
        /// The account that owns the namespace.
        account_id: AccountId,
        /// How many bytes it stores.
        used_bytes: u64,
        /// How many bytes its deposit pays for.
        paid_bytes: u64,
        /// Its deposit.
        deposit: NearToken,
    },
    /// Less was attached than registering costs.
    #[error(
        "{} yoctoNEAR attached, registering takes {}",
        found.as_yoctonear(),
        needed.as_yoctonear()
    )]
    Registration {
        /// What was attached.
        found: NearToken,
        /// What registering costs.
        needed: NearToken,
    },
    /// More is asked for than the stored bytes leave free.
    #[error("{} yoctoNEAR asked for, {} free", found.as_yoctonear(), available.as_yoctonear())]
    Withdrawal {
        /// What was asked for.
        found: NearToken,
        /// What no stored byte needs.
        available: NearToken,
    },
    /// Requests are live that may read the namespace.
    #[error(
        "requests are live that may read the namespace: changing it has workers execute them \
         again, which costs {} yoctoNEAR, {} attached; attach that much, or wait until they are \
         settled",
        needed.as_yoctonear(),
        found.as_yoctonear()
    )]
    LiveReaders {
        /// What was attached.
        found: NearToken,
        /// The fees of all those requests.
        needed: NearToken,
    },
    /// The namespace still has keys.
    #[error("{account_id} still stores {keys} keys: remove them, or unregister with force")]
    NotEmpty {
        /// The account that owns the namespace.
        account_id: AccountId,
        /// How many keys it has.
        keys: u32,
    },
}

impl NamespaceError {
    /// The code with which the panic's text starts.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::NotRegistered { .. } => RefusalCode::NotRegistered,
            Self::Storage(error) => error.code(),
            Self::Locked { .. } => RefusalCode::KeyLocked,
            Self::Unpaid { .. } => RefusalCode::BytesNotPaid,
            Self::Registration { .. } => RefusalCode::RegistrationDeposit,
            Self::Withdrawal { .. } => RefusalCode::WithdrawalTooLarge,
            Self::LiveReaders { .. } => RefusalCode::LiveReaders,
            Self::NotEmpty { .. } => RefusalCode::NamespaceNotEmpty,
        }
    }
}
