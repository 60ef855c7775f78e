//! Runs the contract's Wasm in a node's virtual machine.

use std::{
    path::Path,
    process::Command,
    rc::Rc,
    sync::{Arc, OnceLock},
};

use near_parameters::{ActionCosts, RuntimeConfig, RuntimeConfigStore};
use near_primitives_core::{
    account::AccountContract,
    config::ViewConfig,
    gas::Gas,
    hash::{CryptoHash, hash},
    types::Balance,
    version::PROTOCOL_VERSION,
};
use near_vm_runner::{
    MockContractRuntimeCache,
    logic::{VMContext, VMOutcome, types::PromiseResult},
};
use outlayer_near_host::{Code, Host};

use crate::chain::TestChain;

pub(crate) const CONTRACT: &str = "outlayer.near";
/// The most gas that a transaction can attach.
pub(crate) const MOST: u64 = 1_000_000_000_000_000;
/// The gas that a node lets a view burn.
pub(crate) const VIEW: u64 = 300_000_000_000_000;

/// The contract on a node of the last protocol version.
pub(crate) struct Vm {
    pub(crate) chain: TestChain,
    wasm: Vec<u8>,
    hash: CryptoHash,
    cache: MockContractRuntimeCache,
    runtime: Arc<RuntimeConfig>,
    /// The height of the current block.
    pub(crate) height: u64,
    /// The storage that the contract uses, bytes.
    usage: u64,
    /// What the calls that count have computed, in the units by which a chunk is filled.
    pub(crate) compute: u64,
}

/// One call of a method.
pub(crate) struct Call<'a> {
    pub(crate) by: &'a str,
    pub(crate) method: &'a str,
    pub(crate) input: Vec<u8>,
    pub(crate) deposit: u128,
    pub(crate) gas: u64,
    /// In a callback, the result of the promise that it waited for.
    pub(crate) result: Option<PromiseResult>,
    /// Whose callbacks wait for what the call returns.
    pub(crate) receivers: &'a [&'a str],
}

/// The contract's Wasm, which `scripts/wasm` brings up to date with its source.
pub(crate) fn contract() -> Vec<u8> {
    static BUILT: OnceLock<()> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    BUILT.get_or_init(|| {
        let script = root.join("scripts/wasm");
        let output = Command::new(&script).arg("--quiet").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", script.display());
    });
    std::fs::read(root.join("target/wasm/outlayer_contract.wasm")).unwrap()
}

impl Vm {
    pub(crate) fn new() -> Self {
        let wasm = contract();
        Self {
            chain: TestChain::default(),
            hash: hash(&wasm),
            wasm,
            cache: MockContractRuntimeCache::default(),
            runtime: Arc::clone(RuntimeConfigStore::new(None).get_config(PROTOCOL_VERSION)),
            height: 1_000,
            usage: 500_000,
            compute: 0,
        }
    }

    /// The gas that NEAR burns for a call that is signed by another account than the contract's,
    /// besides what the contract burns.
    pub(crate) fn gas_of_signing(&self, method: &str, input: &[u8]) -> u64 {
        let gas = |cost: ActionCosts| {
            let fee = self.runtime.fees.fee(cost);
            fee.send_not_sir.gas().as_gas() + fee.execution.gas().as_gas()
        };
        let bytes = (method.len() + input.len()) as u64;
        gas(ActionCosts::new_action_receipt)
            + gas(ActionCosts::function_call_base)
            + gas(ActionCosts::function_call_byte) * bytes
    }

    /// Calls a method on a request's way, which must succeed. What it computes counts.
    pub(crate) fn step(&mut self, call: Call<'_>) -> VMOutcome {
        let outcome = self.call(call);
        self.compute += outcome.compute_usage;
        outcome
    }

    /// Calls a method, which must succeed.
    pub(crate) fn call(&mut self, call: Call<'_>) -> VMOutcome {
        self.run(call, None)
    }

    /// Calls a view as a node does, without the host functions that views may not call. It must
    /// succeed.
    pub(crate) fn view(&mut self, call: Call<'_>) -> VMOutcome {
        self.run(call, Some(ViewConfig { max_gas_burnt: Gas::from_gas(VIEW) }))
    }

    fn run(&mut self, call: Call<'_>, view_config: Option<ViewConfig>) -> VMOutcome {
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
            output_data_receivers: call.receivers.iter().map(|id| id.parse().unwrap()).collect(),
            view_config,
        };
        let config = &self.runtime.wasm_config;
        let gas = context.make_gas_counter(config);
        let (config, cache) = (Arc::clone(config), Some(&self.cache as _));
        let code = Code { hash: self.hash, bytes: &self.wasm };
        let prepared = near_vm_runner::prepare(&code, config, cache, gas, call.method);
        let (host, fees) = (&mut Host(&mut self.chain), Arc::clone(&self.runtime.fees));
        let outcome = near_vm_runner::run(prepared, host, &context, fees).unwrap();
        assert_eq!(outcome.aborted, None, "{}", call.method);
        self.usage = outcome.storage_usage;
        outcome
    }
}
