//! What the test and the bench of the sandbox share.

use outlayer_protocol::{ExecutionContext, Hash32, NearToken};
use outlayer_sandbox::SandboxConfig;

/// The command of this package as a child.
pub(crate) fn config() -> SandboxConfig {
    SandboxConfig::new(env!("CARGO_BIN_EXE_outlayer"), [outlayer::SANDBOX_CHILD.into()])
}

/// The context of an execution that no chain has asked for.
pub(crate) fn context() -> ExecutionContext {
    ExecutionContext {
        request_id: 7,
        contract_id: "outlayer.near".parse().unwrap(),
        block_height: 1,
        block_timestamp: 2,
        epoch_height: 3,
        random_seed: Hash32([4; 32]),
        signer_id: "alice.near".parse().unwrap(),
        predecessor_id: "dapp.near".parse().unwrap(),
        attached_deposit: NearToken::from_yoctonear(5),
    }
}
