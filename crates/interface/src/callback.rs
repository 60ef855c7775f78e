//! What a callback finds: the settlement of its request, or the result of another call.

use near_sdk::{PromiseError, env};
use outlayer_protocol::{ResponseFormat, Settlement};
use serde::de::DeserializeOwned;

/// Why a callback has no settlement, or no other result that it can read.
///
/// Money may be in doubt then. [`deposit`](Self::deposit) says what is known.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The call failed.
    #[error("the call failed; see the error of its receipt")]
    Failed,
    /// The result is too long to be read.
    #[error("the result has {found} bytes, expected at most {MAX_BYTES}")]
    TooLong {
        /// Its length, bytes.
        found: usize,
    },
    /// The result is not what was expected, or not in the expected format.
    #[error("expected another result in {format:?} than these {bytes} bytes: {source}")]
    Malformed {
        /// The expected format.
        format: ResponseFormat,
        /// The length of the result, bytes.
        bytes: usize,
        /// The error of the decoder.
        source: DecodeError,
    },
}

impl CallbackError {
    /// Who has the deposit of a request that has no settlement.
    pub fn deposit(&self) -> Deposit {
        match self {
            Self::Failed => Deposit::Unclear,
            Self::TooLong { .. } | Self::Malformed { .. } => Deposit::Settled,
        }
    }
}

/// Who has the deposit of a request for which a callback has no settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deposit {
    /// The request was settled or refused, and what was left of the deposit has gone to
    /// `refund_to`. This contract owes nothing; whatever it paid would be paid twice.
    Settled,
    /// All of it comes back, but a contract cannot tell to whom:
    ///
    /// * to this contract, from NEAR, when OutLayer could not read the request or had too little
    ///   gas to refuse it, or there is no OutLayer at this account;
    /// * to `refund_to`, by a sweep some blocks later, when the request was taken and its
    ///   settlement failed, which is a bug of OutLayer.
    ///
    /// A contract that paid its user now would pay twice in the second case. It should set the
    /// amount aside until somebody has looked at the transaction.
    Unclear,
}

/// Why bytes are not the expected result.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not such a result in JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The bytes are not a settlement in JSON.
    #[error(transparent)]
    JsonSettlement(#[from] outlayer_json::Error),
    /// The bytes are not a settlement in borsh.
    #[error(transparent)]
    BorshSettlement(#[from] outlayer_codec::Error),
}

/// The most bytes that NEAR lets a receipt return.
const MAX_BYTES: usize = 4 << 20;

/// The settlement of the one request that this callback is chained to, which asked for JSON (the
/// default format). It says what happened (`outcome`) and what came back: `fee`, `refund` and
/// `held` are together the deposit, and `refund` has gone to the request's `refund_to`.
///
/// # Errors
/// [`CallbackError`]. A callback should handle it and not panic, or else its caller learns nothing.
pub fn settlement() -> Result<Settlement, CallbackError> {
    read(0, ResponseFormat::Json, outlayer_json::from_slice)
}

/// The settlement at `index` of several joined requests, in the format that its request asked for.
///
/// # Errors
/// [`CallbackError`].
pub fn settlement_at(index: u64, format: ResponseFormat) -> Result<Settlement, CallbackError> {
    // By readers that are small in Wasm: a dApp has them in its code, and pays for its bytes with
    // every call.
    match format {
        ResponseFormat::Json => read(index, format, outlayer_json::from_slice),
        ResponseFormat::Borsh => read(index, format, outlayer_codec::from_slice),
    }
}

/// The result of the one call that this callback is chained to, in JSON.
///
/// # Errors
/// [`CallbackError`].
pub fn result<T: DeserializeOwned>() -> Result<T, CallbackError> {
    result_at(0)
}

/// The result at `index` of several joined calls, in JSON.
///
/// # Errors
/// [`CallbackError`].
pub fn result_at<T: DeserializeOwned>(index: u64) -> Result<T, CallbackError> {
    read(index, ResponseFormat::Json, |bytes| serde_json::from_slice(bytes))
}

fn read<T, E: Into<DecodeError>>(
    index: u64,
    format: ResponseFormat,
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, CallbackError> {
    let found = env::promise_result_checked(index, MAX_BYTES).map_err(|error| match error {
        PromiseError::TooLong(found) => CallbackError::TooLong { found },
        _ => CallbackError::Failed,
    });
    let bytes = found?;
    decode(&bytes).map_err(|error| CallbackError::Malformed {
        format,
        bytes: bytes.len(),
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use near_sdk::{PromiseResult, test_utils::VMContextBuilder, test_vm_config, testing_env};
    use outlayer_protocol::{Meter, NearToken, Outcome, RefusalCode, views::StorageBalance};

    use super::*;

    fn callback(result: PromiseResult) {
        testing_env!(
            VMContextBuilder::new().build(),
            test_vm_config(),
            near_sdk::RuntimeFeesConfig::test(),
            std::collections::HashMap::default(),
            vec![result]
        );
    }

    #[test]
    fn both_formats_are_read() {
        let settled = Settlement::gone(3, Meter::Fuel);
        callback(PromiseResult::Successful(serde_json::to_vec(&settled).unwrap_or_default()));
        assert_eq!(settlement().ok(), Some(settled.clone()));
        callback(PromiseResult::Successful(borsh::to_vec(&settled).unwrap_or_default()));
        let read = settlement_at(0, ResponseFormat::Borsh).ok();
        assert_eq!(read.map(|one| one.outcome), Some(Outcome::TimedOut));
    }

    #[test]
    fn a_refusal_is_a_settlement_that_says_what_came_back() {
        let deposit = NearToken::from_near(1);
        let reason = "paused".to_owned();
        let refused = Settlement::refused(RefusalCode::Paused, reason, Meter::Gas, deposit);
        callback(PromiseResult::Successful(serde_json::to_vec(&refused).unwrap_or_default()));
        let read = settlement().ok();
        assert_eq!(read.as_ref().map(|one| (one.request_id, one.refund)), Some((None, deposit)));
        assert_eq!(read.map(|one| one.outcome), Some(refused.outcome));
    }

    #[test]
    fn a_failure_and_a_foreign_value_are_told_apart_and_so_is_where_the_deposit_is() {
        callback(PromiseResult::Failed);
        let failed = settlement().err();
        assert!(matches!(failed, Some(CallbackError::Failed)), "{failed:?}");
        assert_eq!(failed.map(|error| error.deposit()), Some(Deposit::Unclear));
        callback(PromiseResult::Successful(b"17".to_vec()));
        let foreign = settlement().err();
        assert!(matches!(foreign, Some(CallbackError::Malformed { bytes: 2, .. })), "{foreign:?}");
        assert_eq!(foreign.map(|error| error.deposit()), Some(Deposit::Settled));
    }

    #[test]
    fn the_result_of_a_view_is_read() {
        callback(PromiseResult::Successful(br#"{"total":"5","available":"2"}"#.to_vec()));
        let [total, available] = [5, 2].map(NearToken::from_yoctonear);
        assert_eq!(result().ok(), Some(Some(StorageBalance { total, available })));
        callback(PromiseResult::Successful(b"null".to_vec()));
        assert_eq!(result::<Option<StorageBalance>>().ok(), Some(None));
    }
}
