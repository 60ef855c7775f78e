//! What the tests of the crates that speak to the chain share: a node that answers what a test
//! tells it to, and a chain behind such a node that moves requests by the protocol's own rules.
//!
//! Everything here panics where it meets what it does not expect: a panic is a failed test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "only tests use it")]

mod chain;
mod changes;
mod node;
mod wire;

use outlayer_protocol::{
    CodeRef, Config, EngineVersion, ExecutionContext, ExecutionRequest, Hash32, NearToken,
    machine::LiveRequest, pricing::quote, random_seed, views::RequestView,
};

pub use chain::{Chain, SignedCall, WORKER};
pub use changes::Change;
pub use node::{Answer, FakeNode};
pub use wire::{
    executed, handler_error, header, header_at, invalid_nonce, invalid_transaction,
    nonce_too_large, status, timeout_error, unknown_access_key, unknown_block, unknown_transaction,
    view_bytes, view_bytes_at, view_result,
};

/// The account of the OutLayer contract.
pub const CONTRACT: &str = "outlayer.near";

/// A configuration for tests that do not execute anything: its engine does not matter.
pub fn config() -> Config {
    Config::new(EngineVersion(1), 84)
}

/// A live request with `input` that may use some storage, under the terms of `config`. Its code is
/// the 4 bytes "code".
pub fn request_view(config: &Config, request_id: u64, input: &str) -> RequestView {
    let code = CodeRef { hash: Hash32::of(b"code"), url: None };
    let mut request = ExecutionRequest::new(code.clone(), input);
    request.limits = request.limits.with_storage(8, 4, 4 << 10);
    let context = ExecutionContext {
        request_id,
        contract_id: CONTRACT.parse().unwrap(),
        block_height: 100,
        block_timestamp: 1_763_942_400_000_000_000,
        epoch_height: 3,
        random_seed: random_seed(request_id, &[9; 32]),
        signer_id: "alice.near".parse().unwrap(),
        predecessor_id: "dapp.near".parse().unwrap(),
        attached_deposit: NearToken::from_near(1),
    };
    let quote =
        quote(config, &request, None, 100, NearToken::from_yoctonear(10u128.pow(19))).unwrap();
    let data_id = Hash32::of(b"data id");
    let live = LiveRequest::accept(config, &request, code.into(), context, quote, data_id).unwrap();
    RequestView { request: live, input: request.input }
}
