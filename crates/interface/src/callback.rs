//! What a callback finds: the settlement of its request.

use near_sdk::{PromiseError, env};
use outlayer_protocol::{ResponseFormat, Settlement};

/// Why a callback has no settlement.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// `request_execution` failed: OutLayer did not take the request (the transaction shows why),
    /// and NEAR returned the deposit.
    #[error("the request was refused, or its settlement failed; see the receipt's error")]
    Failed,
    /// The result is too long to be read.
    #[error("the settlement has {found} bytes, expected at most {MAX_BYTES}")]
    TooLong {
        /// Its length, bytes.
        found: usize,
    },
    /// The result is not a settlement in the expected format.
    #[error("expected a settlement in {format:?}, found {bytes} other bytes: {source}")]
    Malformed {
        /// The expected format.
        format: ResponseFormat,
        /// The length of the result, bytes.
        bytes: usize,
        /// The error of the decoder.
        source: DecodeError,
    },
}

/// Why bytes are not a settlement.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not a settlement in JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The bytes are not a settlement in borsh.
    #[error(transparent)]
    Borsh(#[from] std::io::Error),
}

/// The most bytes that NEAR lets a receipt return.
const MAX_BYTES: usize = 4 << 20;

/// The settlement of the one request that this callback is chained to, which asked for JSON (the
/// default format).
///
/// # Errors
/// [`CallbackError`]. A callback should handle it and not panic, or else its caller learns nothing.
pub fn settlement() -> Result<Settlement, CallbackError> {
    settlement_at(0, ResponseFormat::Json)
}

/// The settlement at `index` of several joined requests, in the format that its request asked for.
///
/// # Errors
/// [`CallbackError`].
pub fn settlement_at(index: u64, format: ResponseFormat) -> Result<Settlement, CallbackError> {
    let bytes = env::promise_result_checked(index, MAX_BYTES).map_err(|error| match error {
        PromiseError::TooLong(found) => CallbackError::TooLong { found },
        _ => CallbackError::Failed,
    })?;
    let decoded = match format {
        ResponseFormat::Json => serde_json::from_slice(&bytes).map_err(DecodeError::from),
        ResponseFormat::Borsh => borsh::from_slice(&bytes).map_err(DecodeError::from),
    };
    decoded.map_err(|source| CallbackError::Malformed { format, bytes: bytes.len(), source })
}

#[cfg(test)]
mod tests {
    use near_sdk::{PromiseResult, test_utils::VMContextBuilder, test_vm_config, testing_env};
    use outlayer_protocol::{Meter, Outcome};

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
    fn a_failure_and_a_foreign_value_are_told_apart() {
        callback(PromiseResult::Failed);
        assert!(matches!(settlement(), Err(CallbackError::Failed)));
        callback(PromiseResult::Successful(b"17".to_vec()));
        assert!(matches!(settlement(), Err(CallbackError::Malformed { bytes: 2, .. })));
    }
}
