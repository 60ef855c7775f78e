//! NEAR's limits on modules, in words.

use near_parameters::vm::LimitConfig;
use near_vm_runner::logic::errors::PrepareError;
use outlayer_guest::verdict::invalid_module;
use outlayer_protocol::Status;

use crate::near_config::near_config;

/// The verdict on a module that NEAR's preparation does not accept. The reason names the limit.
pub(crate) fn refused(error: &PrepareError) -> Status {
    invalid_module(reason(error, &near_config().wasm_config.limit_config))
}

fn reason(error: &PrepareError, limits: &LimitConfig) -> String {
    let at_most = |what: &str, limit: Option<u64>| match limit {
        Some(limit) => format!("NEAR's runtime allows at most {limit} {what}"),
        None => format!("NEAR's runtime does not allow so many {what}"),
    };
    match error {
        PrepareError::TooManyFunctions => {
            at_most("functions, imports included", limits.max_functions_number_per_contract)
        }
        PrepareError::TooManyLocals => format!(
            "NEAR's runtime allows at most {} locals in all \
             and at most one for each {} bytes of the module",
            limits.max_locals_per_contract.unwrap_or(u64::MAX),
            limits.min_contract_size_per_local.unwrap_or(0),
        ),
        PrepareError::TooManyTables => {
            at_most("table", limits.max_tables_per_contract.map(u64::from))
        }
        PrepareError::TooManyTableElements => at_most(
            "elements of a table",
            limits.max_elements_per_contract_table.and_then(|limit| u64::try_from(limit).ok()),
        ),
        PrepareError::FunctionBodyTooLarge => {
            at_most("bytes of a function", limits.max_function_body_size)
        }
        PrepareError::InstrumentedCodeTooLarge => {
            at_most("bytes of a module with its instrumentation", limits.max_instrumented_code_size)
        }
        PrepareError::TooManyBlocksPerFunction => {
            at_most("blocks in a function", limits.max_blocks_per_function)
        }
        PrepareError::TooManyBlocksPerContract => {
            at_most("blocks in a module", limits.max_blocks_per_contract)
        }
        PrepareError::TooManyTypes => at_most("types", limits.max_types_per_contract),
        PrepareError::TooManyParamsPerContract => {
            at_most("parameters of all functions together", limits.max_params_per_contract)
        }
        PrepareError::TooManyParamsPerFunction => {
            at_most("parameters of a function", limits.max_params_per_function)
        }
        PrepareError::OperandStackTooLarge => {
            at_most("bytes of operands in a function", limits.max_operand_stack_bytes_per_function)
        }
        PrepareError::TooManyGlobals => at_most("globals", limits.max_globals_per_contract),
        PrepareError::Instantiate => {
            "NEAR's runtime gives a contract functions from env and no other import".to_owned()
        }
        PrepareError::Memory => "NEAR's runtime gives a contract no memory to import".to_owned(),
        PrepareError::Serialization
        | PrepareError::Deserialization
        | PrepareError::InternalMemoryDeclared
        | PrepareError::GasInstrumentation
        | PrepareError::StackHeightInstrumentation => {
            "the module is invalid, or uses WebAssembly that NEAR's runtime does not accept"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_names_its_limit_and_fits() {
        let limits = &near_config().wasm_config.limit_config;
        for (error, number) in [
            (PrepareError::TooManyFunctions, "10000 functions"),
            (PrepareError::TooManyLocals, "1000000 locals"),
            (PrepareError::TooManyTables, "1 table"),
            (PrepareError::TooManyTableElements, "10000 elements"),
            (PrepareError::FunctionBodyTooLarge, "196608 bytes"),
            (PrepareError::InstrumentedCodeTooLarge, "16777216 bytes"),
            (PrepareError::TooManyBlocksPerFunction, "5000 blocks"),
            (PrepareError::TooManyBlocksPerContract, "50000 blocks"),
            (PrepareError::TooManyTypes, "1024 types"),
            (PrepareError::TooManyParamsPerContract, "50000 parameters"),
            (PrepareError::TooManyParamsPerFunction, "64 parameters"),
            (PrepareError::OperandStackTooLarge, "8192 bytes"),
        ] {
            let reason = reason(&error, limits);
            assert!(reason.contains(number), "{error:?}: {reason}");
            assert!(reason.len() <= outlayer_protocol::response::MAX_REASON_BYTES);
        }
    }
}
