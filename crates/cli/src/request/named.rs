//! How a request is named: by its id, or by the transaction that made it.

use std::str::FromStr;

use anyhow::{Context as _, bail};
use outlayer_client::{
    Contract, CryptoHash, RequestTrace, locate,
    trace::{self, TransactionTrace},
};
use outlayer_protocol::{AccountId, RequestId};

use crate::progress::Progress;

/// A request's id, or the hash of the transaction that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Id(RequestId),
    Transaction(CryptoHash),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit()) {
            return text.parse().map(Self::Id).map_err(|error| format!("{error}"));
        }
        text.parse().map(Self::Transaction).map_err(|_| {
            format!(
                "found {text:?}, expected a request's id such as 17, or the hash of the \
                 transaction that made it"
            )
        })
    }
}

/// The transaction of a request, as the node finds it now.
pub(crate) struct Found {
    pub(crate) transaction: TransactionTrace,
    /// `None` while the contract has not taken a request of this transaction.
    pub(crate) request: Option<RequestTrace>,
}

/// Finds a request. Nodes find a transaction by its signer's shard; without `signer`, the node must
/// follow all shards, as archival ones do. `id` says which request of a transaction is meant.
pub(crate) async fn find(
    contract: &Contract,
    named: Named,
    signer: Option<&AccountId>,
    id: Option<RequestId>,
) -> anyhow::Result<Found> {
    let (hash, signer, id) = match named {
        Named::Transaction(hash) => (hash, signer.unwrap_or(contract.id()).clone(), id),
        Named::Id(id) => {
            let _progress = Progress::start(format!("looking for the block of request {id}"));
            let located = locate(contract, id, None).await?;
            (located.transaction, located.signer_id, Some(id))
        }
    };
    let found = trace::whole(contract.node(), hash, &signer).await;
    let found = found.with_context(|| format!("transaction {hash}, asked for as of {signer}"))?;
    let transaction = found.with_context(|| {
        format!("the node knows that transaction {hash} was sent, and nothing more yet")
    })?;
    let mut requests = RequestTrace::all(contract.id(), &transaction);
    let ids: Vec<RequestId> = requests.iter().map(|one| one.requested.request_id).collect();
    if let Some(id) = id {
        requests.retain(|one| one.requested.request_id == id);
    } else if requests.len() > 1 {
        bail!("transaction {hash} made the requests {ids:?}; name one of them by its id");
    }
    Ok(Found { transaction, request: requests.pop() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_id_and_base58_is_a_transaction() {
        assert_eq!("17".parse(), Ok(Named::Id(17)));
        let hash = CryptoHash([7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(Named::Transaction(hash)));
        for wrong in ["", "-1", "0x1", "99999999999999999999999", "abc", "1 2"] {
            assert!(wrong.parse::<Named>().is_err(), "{wrong}");
        }
    }
}
