//! Requests for the guests of `wasi-examples/`.

use outlayer_protocol::{Bytes, CodeRef, Compute, ExecutionRequest, Hash32};

/// A request to run published `code` on `input`.
pub fn request(code: Hash32, input: impl Into<Bytes>) -> ExecutionRequest {
    ExecutionRequest::new(CodeRef { hash: code, url: None }, input)
}

/// The same with a fuel limit.
pub fn with_fuel(mut request: ExecutionRequest, fuel: u64) -> ExecutionRequest {
    request.limits.compute = Compute::Fuel(fuel);
    request
}
