//! The same bytes on near-vm-runner, as a node would run them.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;

use near_parameters::{RuntimeConfig, RuntimeConfigStore};
use near_primitives_core::{
    account::AccountContract,
    hash::CryptoHash,
    types::{Balance, Gas},
};
use near_vm_runner::{
    Contract, ContractCode,
    logic::{GasCounter, VMContext, VMOutcome, mocks::mock_external::MockedExternal},
};
use outlayer_executor::NEAR_CONFIG_VERSION;

struct Code(Arc<ContractCode>);

impl Contract for Code {
    fn hash(&self) -> CryptoHash {
        *self.0.hash()
    }

    fn get_code(&self) -> Option<Arc<ContractCode>> {
        Some(Arc::clone(&self.0))
    }
}

pub(crate) fn config() -> Arc<RuntimeConfig> {
    Arc::clone(RuntimeConfigStore::new(None).get_config(NEAR_CONFIG_VERSION))
}

pub(crate) fn context(input: &[u8], gas: u64) -> VMContext {
    let account = || "node.near".parse().unwrap();
    VMContext {
        current_account_id: account(),
        signer_account_id: account(),
        signer_account_pk: vec![0; 33],
        predecessor_account_id: account(),
        refund_to_account_id: account(),
        input: input.into(),
        promise_results: Vec::new().into(),
        block_height: 1,
        block_timestamp: 1,
        epoch_height: 1,
        account_balance: Balance::from_near(1),
        account_locked_balance: Balance::from_near(0),
        storage_usage: 1_000_000,
        account_contract: AccountContract::Local(CryptoHash::default()),
        attached_deposit: Balance::from_near(0),
        prepaid_gas: Gas::from_gas(gas),
        random_seed: vec![0; 32],
        view_config: None,
        output_data_receivers: Vec::new(),
    }
}

/// Calls `method` of `code` with so much gas.
pub(crate) fn call(code: &[u8], method: &str, input: &[u8], gas: u64) -> VMOutcome {
    let config = config();
    let wasm = &config.wasm_config;
    let counter = GasCounter::new(
        wasm.ext_costs.clone(),
        Gas::from_gas(gas),
        wasm.regular_op_cost,
        Gas::from_gas(gas),
        false,
    );
    let code = Code(Arc::new(ContractCode::new(code.to_vec(), None)));
    let prepared = near_vm_runner::prepare(&code, Arc::clone(wasm), None, counter, method);
    near_vm_runner::run(
        prepared,
        &mut MockedExternal::new(),
        &context(input, gas),
        Arc::clone(&config.fees),
    )
    .unwrap()
}
