//! The gas meter counts for generated modules what a node would count, to the unit, however they
//! end.

use arbitrary::Unstructured;
use near_vm_runner::logic::errors::{FunctionCallError, HostError};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Status};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasm_smith::{Config, Module};
use wasmparser::{CompositeInnerType, Parser, Payload};

use crate::common::{Run, node};

/// Enough gas for loading, and for a few hundred thousand operators.
const GAS: u64 = 1_000_000_000_000;
const SEEDS: u64 = 2_000;

fn generate(seed: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4_096];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    let config = Config {
        max_imports: 0,
        max_exports: 0,
        min_funcs: 3,
        max_funcs: 8,
        max_type_size: 100,
        min_memories: 1,
        max_memories: 1,
        max_memory32_bytes: 1 << 20,
        max_tables: 1,
        max_table_elements: 1_000,
        memory64_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        reference_types_enabled: false,
        multi_value_enabled: false,
        simd_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        extended_const_enabled: false,
        max_tags: 0,
        ..Config::default()
    };
    let module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    into_command(&module.to_bytes())
}

/// Gives the module NEAR's memory and exports it, and exports the first function without parameters
/// and results as `_start`.
fn into_command(code: &[u8]) -> Option<Vec<u8>> {
    let (mut plain, mut start) = (Vec::new(), None);
    for payload in Parser::new(0).parse_all(code) {
        match payload.unwrap() {
            Payload::TypeSection(reader) => {
                for group in reader {
                    for ty in group.unwrap().types() {
                        plain.push(matches!(&ty.composite_type.inner, CompositeInnerType::Func(ty)
                            if ty.params().is_empty() && ty.results().is_empty()));
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                start = reader.into_iter().map(Result::unwrap).position(|ty| plain[ty as usize]);
            }
            _ => {}
        }
    }
    let start = u8::try_from(start?).ok()?;
    let exports = [&[2, 6][..], b"_start", &[0, start, 6], b"memory", &[2, 0]].concat();
    // At least 1,024 pages and at most 2,048.
    let memory = [1, 1, 0x80, 0x08, 0x80, 0x10];
    let mut out = code[..8].to_vec();
    let mut exported = false;
    for payload in Parser::new(0).parse_all(code) {
        let Some((id, range)) = payload.unwrap().as_section() else {
            continue;
        };
        if !exported && id > 7 {
            section(&mut out, 7, &exports);
            exported = true;
        }
        match id {
            5 => section(&mut out, id, &memory),
            7 => {}
            _ => section(&mut out, id, &code[range]),
        }
    }
    Some(out)
}

fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    let mut length = content.len();
    while length >= 0x80 {
        out.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.push(length.to_le_bytes()[0]);
    out.extend_from_slice(content);
}

/// Whether a node ended a call because the gas did not suffice.
fn wanted_gas(aborted: Option<&FunctionCallError>) -> bool {
    matches!(
        aborted,
        Some(FunctionCallError::HostError(
            HostError::GasExceeded | HostError::GasLimitExceeded | HostError::IntegerOverflow
        ))
    )
}

fn with_gas(code: &[u8], gas: u64) -> Run {
    Run::bytes(code.to_vec()).limits(|limits| {
        limits.compute = Compute::Gas(gas);
        limits.memory_bytes = 128 << 20;
    })
}

/// Wherever the gas ends (in loading, in a start function or at any charge after that), both
/// engines stop there and have used all of it.
#[test]
fn gas_that_ends_anywhere_ends_here_as_on_a_node() {
    let mut points = ChaCha20Rng::seed_from_u64(1);
    let (mut modules, mut stopped) = (0, 0);
    for seed in 0..SEEDS {
        let Some(code) = generate(seed) else { continue };
        let whole = with_gas(&code, GAS).run();
        if whole.status != Status::Completed {
            continue;
        }
        modules += 1;
        let used = whole.used.amount();
        let loading = 35_445_963 + 1_089_295 * code.len() as u64;
        let ends = [used - 1, loading, loading - 1].into_iter().chain((0..5).map(|_| {
            // Anywhere between loading and the end.
            loading + points.next_u64() % (used - loading).max(1)
        }));
        for end in ends.filter(|end| *end < used) {
            let execution = with_gas(&code, end).run();
            let outcome = node::call(&code, "_start", b"", end);
            assert_eq!(execution.status, Status::OutOfGas, "seed {seed}, gas {end}");
            assert_eq!(execution.used, Compute::Gas(end), "seed {seed}, gas {end}");
            assert_eq!(outcome.burnt_gas.as_gas(), end, "seed {seed}, gas {end}");
            assert!(
                wanted_gas(outcome.aborted.as_ref()),
                "seed {seed}, gas {end}: {:?}",
                outcome.aborted
            );
            stopped += 1;
        }
    }
    println!("{modules} modules, stopped {stopped} times");
    assert!(modules > 50 && stopped > 300);
}

/// The two engines agreeing means something only if the modules use what the meter charges for.
/// Bulk operators need three operands and are rare in them, so two of the kernels test those.
#[test]
fn the_generated_modules_use_what_the_meter_charges_for() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..SEEDS / 10 {
        let Some(code) = generate(seed) else { continue };
        for payload in Parser::new(0).parse_all(&code) {
            let Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
            for operator in body.get_operators_reader().unwrap() {
                let text = format!("{:?}", operator.unwrap());
                let name: String =
                    text.chars().take_while(|letter| letter.is_alphanumeric()).collect();
                *seen.entry(name).or_insert(0) += 1;
            }
        }
    }
    for name in [
        "Loop",
        "If",
        "Br",
        "BrIf",
        "BrTable",
        "Call",
        "CallIndirect",
        "MemoryGrow",
        "I64DivS",
        "F64Add",
        "I32TruncSatF64S",
        "I32Load",
        "F64Store",
        "Select",
        "GlobalSet",
    ] {
        assert!(
            seen.get(name).is_some_and(|count| *count > 0),
            "{name} is never generated: {seen:?}"
        );
    }
}

#[test]
fn every_generated_module_costs_what_it_costs_on_a_node() {
    let unoptimised =
        Executor::new(ExecutorConfig { optimize: false, ..ExecutorConfig::default() }).unwrap();
    let (mut completed, mut trapped, mut exhausted, mut overflowed) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let Some(code) = generate(seed) else { continue };
        let mut run = with_gas(&code, GAS);
        let execution = run.run();
        assert_eq!(run.on(&unoptimised).unwrap(), execution, "seed {seed}");
        let outcome = node::call(&code, "_start", b"", GAS);
        let context = format!("seed {seed}: {:?}, {:?}", execution.status, outcome.aborted);
        assert_eq!(execution.used, Compute::Gas(outcome.burnt_gas.as_gas()), "{context}");
        let agree = match &execution.status {
            Status::Completed => {
                completed += 1;
                outcome.aborted.is_none()
            }
            Status::Trapped { .. } => {
                trapped += 1;
                matches!(outcome.aborted, Some(FunctionCallError::WasmTrap(_)))
            }
            Status::OutOfGas => {
                exhausted += 1;
                wanted_gas(outcome.aborted.as_ref())
            }
            Status::StackOverflow => {
                overflowed += 1;
                outcome.aborted
                    == Some(FunctionCallError::HostError(HostError::MemoryAccessViolation))
            }
            Status::InvalidModule { .. } => {
                matches!(outcome.aborted, Some(FunctionCallError::CompilationError(_)))
            }
            _ => false,
        };
        assert!(agree, "{context}");
    }
    println!(
        "{completed} completed, {trapped} trapped, {exhausted} out of gas, \
         {overflowed} stack overflows"
    );
    assert!(completed > 50 && trapped > 50 && exhausted > 10 && overflowed > 10);
}
