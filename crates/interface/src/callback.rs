//! What a callback finds.

use near_sdk::{PromiseError, env};
use outlayer_protocol::{ResponseFormat, Settlement};

/// Why a callback has no settlement.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// `request_execution` failed: it refused the request (the transaction shows why) and NEAR returned the deposit.
    #[error("the request was refused, or its settlement failed; see the receipt's error")]
    Failed,
    /// The result is too long to be read.
    #[error("the settlement has {found} bytes, expected at most {MAX_BYTES}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The result is no settlement in that format.
    #[error("expected a settlement in {format:?}, found {bytes} other bytes: {error}")]
    Malformed {
        /// The format.
        format: ResponseFormat,
        /// How many bytes.
        bytes: usize,
        /// The decoder's word.
        error: String,
    },
}

/// NEAR's own bound on a returned value.
const MAX_BYTES: usize = 4 << 20;

/// The settlement of the one request that this callback was chained to, as JSON (the default format).
///
/// # Errors
/// [`CallbackError`]; a callback should handle it rather than panic, or its caller learns nothing.
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
        ResponseFormat::Json => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        ResponseFormat::Borsh => borsh::from_slice(&bytes).map_err(|error| error.to_string()),
    };
    decoded.map_err(|error| CallbackError::Malformed { format, bytes: bytes.len(), error })
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
