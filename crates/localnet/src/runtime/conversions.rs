//! The VM's errors and gas profiles, in the form in which the protocol stores them
//! (`runtime/runtime/src/conversions.rs` in nearcore).

use near_primitives::errors as stored;
use near_vm_runner::logic::errors as vm;

pub(super) fn function_call_error(error: vm::FunctionCallError) -> stored::FunctionCallError {
    use stored::FunctionCallError as Stored;
    match error {
        vm::FunctionCallError::CompilationError(error) => {
            Stored::CompilationError(compilation_error(error))
        }
        vm::FunctionCallError::MethodResolveError(error) => {
            Stored::MethodResolveError(match error {
                vm::MethodResolveError::MethodEmptyName => {
                    stored::MethodResolveError::MethodEmptyName
                }
                vm::MethodResolveError::MethodNotFound => {
                    stored::MethodResolveError::MethodNotFound
                }
                vm::MethodResolveError::MethodInvalidSignature => {
                    stored::MethodResolveError::MethodInvalidSignature
                }
            })
        }
        vm::FunctionCallError::LinkError { msg } => {
            Stored::ExecutionError(format!("Link Error: {msg}"))
        }
        // The protocol stores only the text of these errors.
        error @ (vm::FunctionCallError::HostError(_)
        | vm::FunctionCallError::WasmTrap(_)
        | vm::FunctionCallError::LoadingError { .. }) => Stored::ExecutionError(error.to_string()),
    }
}

fn compilation_error(error: vm::CompilationError) -> stored::CompilationError {
    use stored::CompilationError as Stored;
    match error {
        vm::CompilationError::CodeDoesNotExist { account_id } => match account_id.parse() {
            Ok(account_id) => Stored::CodeDoesNotExist { account_id },
            Err(_) => Stored::WasmerCompileError { msg: account_id.into() },
        },
        vm::CompilationError::PrepareError(error) => Stored::PrepareError(prepare_error(&error)),
        vm::CompilationError::WasmerCompileError { msg }
        | vm::CompilationError::WasmtimeCompileError { msg } => Stored::WasmerCompileError { msg },
    }
}

fn prepare_error(error: &vm::PrepareError) -> stored::PrepareError {
    use stored::PrepareError as Stored;
    use vm::PrepareError as Vm;
    match error {
        Vm::Serialization => Stored::Serialization,
        Vm::Deserialization => Stored::Deserialization,
        Vm::InternalMemoryDeclared => Stored::InternalMemoryDeclared,
        Vm::GasInstrumentation => Stored::GasInstrumentation,
        Vm::StackHeightInstrumentation => Stored::StackHeightInstrumentation,
        Vm::Instantiate => Stored::Instantiate,
        Vm::Memory => Stored::Memory,
        Vm::TooManyFunctions => Stored::TooManyFunctions,
        Vm::TooManyLocals => Stored::TooManyLocals,
        Vm::TooManyTables => Stored::TooManyTables,
        Vm::TooManyTableElements => Stored::TooManyTableElements,
        Vm::FunctionBodyTooLarge => Stored::FunctionBodyTooLarge,
        Vm::InstrumentedCodeTooLarge => Stored::InstrumentedCodeTooLarge,
        Vm::TooManyBlocksPerFunction => Stored::TooManyBlocksPerFunction,
        Vm::TooManyBlocksPerContract => Stored::TooManyBlocksPerContract,
        Vm::TooManyTypes => Stored::TooManyTypes,
        Vm::TooManyParamsPerContract => Stored::TooManyParamsPerContract,
        Vm::TooManyParamsPerFunction => Stored::TooManyParamsPerFunction,
        Vm::OperandStackTooLarge => Stored::OperandStackTooLarge,
        Vm::TooManyGlobals => Stored::TooManyGlobals,
    }
}

pub(super) fn profile(
    profile: near_vm_runner::ProfileDataV3,
) -> near_primitives::profile_data_v3::ProfileDataV3 {
    near_primitives::profile_data_v3::ProfileDataV3 {
        actions_profile: profile.actions_profile,
        wasm_ext_profile: profile.wasm_ext_profile,
        wasm_gas: profile.wasm_gas,
    }
}
