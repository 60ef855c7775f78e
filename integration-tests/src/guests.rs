//! Requests for the guests of `wasi-examples/`.

use anyhow::Result;
use outlayer_protocol::{
    Bytes, CodeRef, Compute, ExecutionContext, ExecutionRequest, Hash32, NearToken, random_seed,
};

/// A request to execute the published `code` on `input`.
pub fn request(code: Hash32, input: impl Into<Bytes>) -> ExecutionRequest {
    let mut request = ExecutionRequest::new(CodeRef { hash: code, url: None }, input);
    request.limits = request.limits.with_storage(8, 4, 4 << 10);
    request.limits.output_bytes = 4 << 10;
    request
}

/// The same request with another fuel limit.
pub fn with_fuel(mut request: ExecutionRequest, fuel: u64) -> ExecutionRequest {
    request.limits.compute = Compute::Fuel(fuel);
    request
}

/// The context of a guest that is executed without a chain.
///
/// # Errors
/// When a name in it is not a valid account id. They all are.
pub fn context(attached_deposit: NearToken) -> Result<ExecutionContext> {
    Ok(ExecutionContext {
        request_id: 7,
        contract_id: "outlayer.near".parse()?,
        block_height: 1_000,
        block_timestamp: 1_763_942_400_000_000_000,
        epoch_height: 16,
        random_seed: random_seed(7, &[9; 32]),
        signer_id: "alice.near".parse()?,
        predecessor_id: "dapp.near".parse()?,
        attached_deposit,
    })
}
