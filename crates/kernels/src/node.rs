//! near-vm-runner, set up as a NEAR node sets it up: what a meter for gas is compared with.

use std::{io, sync::Arc};

use near_account_id::AccountIdRef;
use near_parameters::{ExtCosts, RuntimeConfig, RuntimeConfigStore};
use near_primitives_core::{
    account::AccountContract,
    hash::CryptoHash,
    types::{Balance, Gas, ProtocolVersion},
};
use near_vm_runner::{
    Contract, ContractCode, FilesystemContractRuntimeCache,
    logic::{
        GasCounter, VMContext, VMOutcome, errors::VMRunnerError,
        mocks::mock_external::MockedExternal,
    },
    noop_background_spawner,
};
use tempfile::TempDir;

/// How many contracts stay loaded in memory.
const LOADED_CONTRACTS: usize = 64;
/// The most bytes of compiled contracts that are kept on disk.
const DISK_CACHE_BYTES: u64 = 1 << 30;

/// The contract runtime of a node, with the contracts' storage in memory. As on a node, compiled
/// contracts are cached on disk, and loaded ones in memory.
pub struct Node {
    config: Arc<RuntimeConfig>,
    cache: FilesystemContractRuntimeCache,
    _folder: TempDir,
}

struct Code(Arc<ContractCode>);

impl Contract for Code {
    fn hash(&self) -> CryptoHash {
        *self.0.hash()
    }

    fn get_code(&self) -> Option<Arc<ContractCode>> {
        Some(Arc::clone(&self.0))
    }
}

impl Node {
    /// A runtime under NEAR's configuration (fees, costs and limits) of a protocol version, with
    /// an empty cache in a temporary folder.
    ///
    /// # Errors
    /// An I/O error when the folder cannot be made.
    pub fn new(version: ProtocolVersion) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let cache = FilesystemContractRuntimeCache::with_memory_cache(
            folder.path(),
            None::<&str>,
            "contracts",
            LOADED_CONTRACTS,
            None,
            DISK_CACHE_BYTES,
            noop_background_spawner(),
        )?;
        let config = Arc::clone(RuntimeConfigStore::new(None).get_config(version));
        Ok(Self { config, cache, _folder: folder })
    }

    /// The gas that NEAR charges for an ordinary operator.
    pub fn operator_gas(&self) -> u64 {
        self.config.wasm_config.regular_op_cost.into()
    }

    /// The gas that NEAR charges for loading a contract of this size, in bytes.
    pub fn loading_gas(&self, bytes: u64) -> u64 {
        let gas = |cost: ExtCosts| cost.gas(&self.config.wasm_config.ext_costs).as_gas();
        let byte = gas(ExtCosts::contract_loading_bytes);
        gas(ExtCosts::contract_loading_base).saturating_add(bytes.saturating_mul(byte))
    }

    /// Calls `method` of the contract `code` with this much prepaid gas.
    ///
    /// # Errors
    /// A failure of the runner itself. A failure of the contract is part of the outcome.
    pub fn call(
        &self,
        code: &[u8],
        method: &str,
        input: &[u8],
        gas: u64,
    ) -> Result<VMOutcome, VMRunnerError> {
        let wasm = &self.config.wasm_config;
        let counter = GasCounter::new(
            wasm.ext_costs.clone(),
            Gas::from_gas(gas),
            wasm.regular_op_cost,
            Gas::from_gas(gas),
            false,
        );
        let code = Code(Arc::new(ContractCode::new(code.to_vec(), None)));
        let prepared =
            near_vm_runner::prepare(&code, Arc::clone(wasm), Some(&self.cache), counter, method);
        let fees = Arc::clone(&self.config.fees);
        near_vm_runner::run(prepared, &mut MockedExternal::new(), &context(input, gas), fees)
    }
}

/// The context of a call, with the same made-up accounts, block and balance each time.
fn context(input: &[u8], gas: u64) -> VMContext {
    const ACCOUNT: &AccountIdRef = AccountIdRef::new_or_panic("node.near");
    let account = || ACCOUNT.to_owned();
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
