//! Which request to replay.

use outlayer_client::CryptoHash;
use outlayer_protocol::{AccountId, RequestId};

/// Names a request by the transaction that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Hash of the transaction that made the request.
    pub transaction: CryptoHash,
    /// The account that signed this transaction.
    pub signer_id: AccountId,
    /// The request's id. `None` suffices when the transaction made only one request.
    pub request_id: Option<RequestId>,
}
