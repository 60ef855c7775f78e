//! Finding the code of an account and running it in the VM
//! (`runtime/runtime/src/{contract_code,pipelining,function_call}.rs` in nearcore).

use std::sync::Arc;

use near_parameters::RuntimeConfig;
use near_primitives::{
    account::AccountContract,
    action::GlobalContractIdentifier,
    config::ViewConfig,
    hash::{CryptoHash, hash},
    trie_key::TrieKey,
    types::{AccountId, Gas},
};
use near_vm_runner::{
    Contract, ContractCode, ContractRuntimeCache, PreparedContract,
    logic::{
        GasCounter, VMContext, VMOutcome,
        errors::{CompilationError, FunctionCallError, VMRunnerError},
    },
};
use outlayer_near_host::Host;

use super::{error::RuntimeError, external::CallExternal, update::StateUpdate};

/// Where the VM gets a contract's code from, if it is not compiled yet.
struct Source<'a> {
    update: &'a StateUpdate,
    hash: CryptoHash,
    /// The key of the code in the state. `None` for an account without a contract.
    key: Option<TrieKey>,
}

impl Contract for Source<'_> {
    fn hash(&self) -> CryptoHash {
        self.hash
    }

    fn get_code(&self) -> Option<Arc<ContractCode>> {
        let code = self.update.get_raw(self.key.as_ref()?)?;
        Some(Arc::new(ContractCode::new(code.to_vec(), Some(self.hash))))
    }
}

/// The key under which the code of a global contract is stored.
pub(super) fn global_code_key(identifier: GlobalContractIdentifier) -> TrieKey {
    TrieKey::GlobalContractCode { identifier: identifier.into() }
}

/// The key under which an account's code is stored. `None` when it has no contract.
fn code_key(account_id: &AccountId, contract: &AccountContract) -> Option<TrieKey> {
    match contract {
        AccountContract::None => None,
        AccountContract::Local(_) => Some(TrieKey::ContractCode { account_id: account_id.clone() }),
        AccountContract::Global(hash) => {
            Some(global_code_key(GlobalContractIdentifier::CodeHash(*hash)))
        }
        AccountContract::GlobalByAccount(id) => {
            Some(global_code_key(GlobalContractIdentifier::AccountId(id.clone())))
        }
    }
}

/// Where the code of an account is. An account whose code is not in the state has none, even if
/// that code is compiled already: another chain that shares the cache may have it.
fn source<'a>(
    update: &'a StateUpdate,
    account_id: &AccountId,
    contract: &AccountContract,
) -> Source<'a> {
    let key = code_key(account_id, contract);
    let Some(code) = key.as_ref().and_then(|key| update.get_raw(key)) else {
        return Source { update, hash: CryptoHash::default(), key: None };
    };
    let hash = match contract {
        AccountContract::Local(hash) | AccountContract::Global(hash) => *hash,
        AccountContract::None | AccountContract::GlobalByAccount(_) => hash(&code),
    };
    Source { update, hash, key }
}

/// One call of a contract's method.
pub(super) struct Call<'a> {
    pub(super) config: &'a RuntimeConfig,
    pub(super) cache: &'a dyn ContractRuntimeCache,
    pub(super) account_id: &'a AccountId,
    pub(super) contract: &'a AccountContract,
    pub(super) method: &'a str,
    /// The gas attached to the call.
    pub(super) gas: Gas,
    /// The limits of a view call. `None` for a call that may change the state.
    pub(super) view: Option<ViewConfig>,
}

impl Call<'_> {
    /// Loads the contract, and compiles it first if that has not been done.
    pub(super) fn prepare(&self, update: &StateUpdate) -> Box<dyn PreparedContract> {
        let wasm = &self.config.wasm_config;
        let max_gas_burnt = match &self.view {
            Some(view) => view.max_gas_burnt,
            None => wasm.limit_config.max_gas_burnt,
        };
        let gas_counter = GasCounter::new(
            wasm.ext_costs.clone(),
            max_gas_burnt,
            wasm.regular_op_cost,
            self.gas,
            self.view.is_some(),
        );
        let source = source(update, self.account_id, self.contract);
        near_vm_runner::prepare(
            &source,
            Arc::clone(wasm),
            Some(self.cache),
            gas_counter,
            self.method,
        )
    }

    /// Runs the prepared call. A failure of the contract is part of the outcome, not an error.
    pub(super) fn run(
        &self,
        prepared: Box<dyn PreparedContract>,
        external: &mut CallExternal<'_>,
        context: &VMContext,
    ) -> Result<VMOutcome, RuntimeError> {
        match near_vm_runner::run(
            prepared,
            &mut Host(external),
            context,
            Arc::clone(&self.config.fees),
        ) {
            Ok(outcome) => Ok(outcome),
            Err(VMRunnerError::ContractCodeNotPresent) => {
                let account_id = self.account_id.as_str().into();
                let error = CompilationError::CodeDoesNotExist { account_id };
                Ok(VMOutcome::nop_outcome(FunctionCallError::CompilationError(error)))
            }
            Err(error) => Err(RuntimeError::Vm(Arc::new(error))),
        }
    }
}
