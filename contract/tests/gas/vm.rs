//! Runs the contract's Wasm in a node's VM, with state and yields in memory.

use std::{path::Path, rc::Rc, sync::Arc};

use near_parameters::{RuntimeConfig, RuntimeConfigStore};
use near_primitives_core::{
    account::AccountContract, gas::Gas, types::Balance, version::PROTOCOL_VERSION,
};
use near_vm_runner::{
    ContractCode,
    logic::{
        VMContext, VMOutcome,
        mocks::mock_external::{MockAction, MockedExternal},
        types::PromiseResult,
    },
};

pub const CONTRACT: &str = "outlayer.near";

/// What a node of the last protocol version charges for one call, besides the trie's nodes.
pub struct Vm {
    external: MockedExternal,
    runtime: Arc<RuntimeConfig>,
    usage: u64,
    height: u64,
}

/// One call.
pub struct Call<'a> {
    pub by: &'a str,
    pub method: &'a str,
    pub input: Vec<u8>,
    pub deposit: u128,
    pub gas: u64,
    /// The promise's result, in a callback.
    pub result: Option<PromiseResult>,
}

/// The contract's Wasm, as `scripts/wasm` builds it.
pub fn contract() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/outlayer_contract.wasm");
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; scripts/wasm builds it", path.display()))
}

impl Vm {
    pub fn new() -> Self {
        let store = RuntimeConfigStore::new(None);
        Self {
            external: MockedExternal::with_code(ContractCode::new(contract(), None)),
            runtime: Arc::clone(store.get_config(PROTOCOL_VERSION)),
            usage: 500_000,
            height: 1_000,
        }
    }

    /// Calls a method; the outcome of one that panics says why.
    pub fn call(&mut self, call: Call<'_>) -> VMOutcome {
        let context = VMContext {
            current_account_id: CONTRACT.parse().unwrap(),
            signer_account_id: call.by.parse().unwrap(),
            signer_account_pk: vec![0; 33],
            predecessor_account_id: call.by.parse().unwrap(),
            refund_to_account_id: call.by.parse().unwrap(),
            input: Rc::from(call.input),
            promise_results: call.result.into_iter().collect(),
            block_height: self.height,
            block_timestamp: 1_763_942_400_000_000_000,
            epoch_height: 7,
            account_balance: Balance::from_near(1_000_000),
            account_locked_balance: Balance::ZERO,
            storage_usage: self.usage,
            account_contract: AccountContract::None,
            attached_deposit: Balance::from_yoctonear(call.deposit),
            prepaid_gas: Gas::from_gas(call.gas),
            random_seed: vec![9; 32],
            output_data_receivers: Vec::new(),
            view_config: None,
        };
        let vm = &self.runtime.wasm_config;
        let gas = context.make_gas_counter(vm);
        let prepared =
            near_vm_runner::prepare(&self.external, Arc::clone(vm), None, gas, call.method);
        let fees = Arc::clone(&self.runtime.fees);
        let outcome = near_vm_runner::run(prepared, &mut self.external, &context, fees).unwrap();
        if outcome.aborted.is_none() {
            self.usage = outcome.storage_usage;
        }
        outcome
    }

    /// Calls a method that must succeed.
    pub fn expect(&mut self, call: Call<'_>) -> VMOutcome {
        let method = call.method.to_owned();
        let outcome = self.call(call);
        assert_eq!(outcome.aborted, None, "{method}");
        outcome
    }

    /// The promises made by all calls so far.
    pub fn actions(&self) -> &[MockAction] {
        &self.external.action_log
    }
}
