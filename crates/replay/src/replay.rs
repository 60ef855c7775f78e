//! Fetches the evidence about a request, and verifies it.

use outlayer_client::{Contract, NamespaceReader};
use outlayer_guest::{Engines, SnapshotError};
use outlayer_modules::CodeStore;

use crate::{
    error::ReplayError,
    fetch::{self, Found},
    question::Question,
    secrets::Openings,
    verdict::Replay,
    verify::verify,
};

/// Executes the request that `question` asks about again, with those of the secrets that it pins,
/// and compares.
///
/// # Errors
/// [`ReplayError`] when there is nothing to compare.
pub async fn replay(
    contract: &Contract,
    codes: &CodeStore,
    engines: &Engines,
    question: &Question,
    openings: &Openings,
) -> Result<Replay, ReplayError> {
    let (evidence, at) = match fetch::evidence(contract, question).await? {
        Found::Evidence { evidence, at } => (evidence, at),
        Found::Nothing(replay) => return Ok(*replay),
    };
    // Code that cannot be had would hide that another engine, or a secret, is needed.
    if let Some(replay) = evidence.verdict_without_execution(engines, openings)? {
        return Ok(replay);
    }
    let request = &evidence.view.request;
    let code = codes.load(&request.code, contract, at).await?;
    let storage = NamespaceReader::new(contract.clone(), request.namespace().clone(), at);
    let (engines, openings) = (engines.clone(), openings.clone());
    let verified = tokio::task::spawn_blocking(move || {
        let mut storage =
            |key: &[u8]| storage.read(key).map_err(|error| SnapshotError(error.to_string()));
        verify(&evidence, &code, &mut storage, &engines, &openings)
    });
    Ok(verified.await??)
}
