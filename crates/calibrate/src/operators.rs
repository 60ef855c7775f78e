//! How many operators a kernel executes.
//!
//! An operator is a WebAssembly instruction that control reaches, other than the four that only
//! delimit code: `block`, `loop`, `else` and `end`. Each counts once, whatever it does: a `nop`, a
//! call, a branch that is not taken, a copy of a megabyte. No meter takes part in the count: a copy
//! of the module increments a global before each operator, and an interpreter runs that copy.

use std::error::Error;

use outlayer_executor::prepare::encode;
use outlayer_kernels::Kernel;
use wasmi::{Engine, Linker, Module, Store};
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

use crate::CalibrationError;

/// The name under which the copy exports the counter.
const COUNTER: &str = "outlayer:operators";

/// The counter's entry in the section of globals: a mutable `i64` that starts at zero.
const GLOBAL: &[u8] = &[0x7e, 1, 0x42, 0, 0x0b];

mod section {
    pub(super) const GLOBAL: u8 = 6;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const CODE: u8 = 10;
}

/// The number of operators that a kernel executes, including those of its start function.
///
/// # Errors
/// [`CalibrationError::Kernel`] when it imports something or does not run to its end.
pub fn count(kernel: &Kernel) -> Result<u64, CalibrationError> {
    run(&kernel.wasm).map_err(|error| CalibrationError::kernel(kernel.name, error))
}

fn run(code: &[u8]) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let counting = instrument(code)?;
    let engine = Engine::default();
    let module = Module::new(&engine, &counting[..])?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&store, "_start")?;
    start.call(&mut store, ())?;
    let counter = instance.get_global(&store, COUNTER).and_then(|found| found.get(&store).i64());
    Ok(counter.map(i64::cast_unsigned).ok_or("the copy does not export its counter")?)
}

/// A copy of the module that counts: it has and exports one more global, and increments it before
/// each operator.
fn instrument(code: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let counter = globals(code)?;
    let mut out = code.get(..8).unwrap_or_default().to_vec();
    let mut bodies: Option<Vec<u8>> = None;
    let mut has_global_section = false;
    for payload in Parser::new(0).parse_all(code) {
        let payload = payload?;
        if let Payload::CodeSectionEntry(body) = &payload {
            if let Some(content) = &mut bodies {
                function(content, code, body, counter)?;
            }
            continue;
        }
        if let Some(content) = bodies.take() {
            encode::section(&mut out, section::CODE, &content);
        }
        let Some((id, range)) = payload.as_section() else { continue };
        let content = code.get(range).unwrap_or_default();
        if id >= section::EXPORT && !has_global_section {
            encode::section(&mut out, section::GLOBAL, &encode::extended(&[0], 1, GLOBAL));
            has_global_section = true;
        }
        match (&payload, id) {
            (Payload::CodeSectionStart { count, .. }, _) => {
                let mut content = Vec::new();
                encode::unsigned(&mut content, *count as usize);
                bodies = Some(content);
            }
            (_, section::GLOBAL) => {
                encode::section(&mut out, id, &encode::extended(content, 1, GLOBAL));
                has_global_section = true;
            }
            (_, section::EXPORT) => {
                let mut export = Vec::new();
                encode::unsigned(&mut export, COUNTER.len());
                export.extend_from_slice(COUNTER.as_bytes());
                export.push(3);
                encode::unsigned(&mut export, counter);
                encode::section(&mut out, id, &encode::extended(content, 1, &export));
            }
            _ => encode::section(&mut out, id, content),
        }
    }
    Ok(out)
}

/// How many globals the module defines, which is the index of the next one: it imports none.
fn globals(code: &[u8]) -> Result<usize, BinaryReaderError> {
    for payload in Parser::new(0).parse_all(code) {
        if let Payload::GlobalSection(reader) = payload? {
            return Ok(reader.count() as usize);
        }
    }
    Ok(0)
}

/// Appends a function's body with the increments in it. An increment has four instructions:
/// `global.get`, `i64.const 1`, `i64.add` and `global.set`.
fn function(
    out: &mut Vec<u8>,
    code: &[u8],
    body: &FunctionBody<'_>,
    counter: usize,
) -> Result<(), BinaryReaderError> {
    let mut increment = vec![0x23];
    encode::unsigned(&mut increment, counter);
    increment.extend([0x42, 1, 0x7c, 0x24]);
    encode::unsigned(&mut increment, counter);
    let mut reader = body.get_operators_reader()?;
    let locals = body.range().start..reader.original_position();
    let mut content = code.get(locals).unwrap_or_default().to_vec();
    while !reader.eof() {
        let begin = reader.original_position();
        let operator = reader.read()?;
        if !matches!(
            operator,
            Operator::Block { .. } | Operator::Loop { .. } | Operator::Else | Operator::End
        ) {
            content.extend_from_slice(&increment);
        }
        content.extend_from_slice(code.get(begin..reader.original_position()).unwrap_or_default());
    }
    encode::unsigned(out, content.len());
    out.extend_from_slice(&content);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(items: &str) -> u64 {
        let text = format!(r#"(module (memory (export "memory") 1) {items})"#);
        count(&Kernel { name: "test", wasm: wat::parse_str(text).unwrap() }).unwrap()
    }

    #[test]
    fn every_operator_counts_once_and_delimiters_do_not() {
        assert_eq!(counted(r#"(func (export "_start"))"#), 0);
        assert_eq!(counted(r#"(func (export "_start") nop (block (nop)))"#), 2);
        assert_eq!(counted(r#"(func (export "_start") (return) (drop (i32.const 1)))"#), 1);
        // The condition, the `if`, and one of its two branches.
        let choice = |condition| {
            counted(&format!(
                r#"(func (export "_start")
                    (if (i32.const {condition}) (then nop) (else nop nop nop)))"#
            ))
        };
        assert_eq!((choice(1), choice(0)), (3, 5));
        // Three operands and a fill, whatever its length.
        let fill = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 60000))";
        assert_eq!(counted(&format!(r#"(func (export "_start") {fill})"#)), 4);
    }

    #[test]
    fn loops_calls_globals_and_start_functions_are_followed() {
        // Ten rounds of seven operators: `local.get`, `i32.const`, `i32.add`, `local.tee`,
        // `i32.const`, `i32.lt_u`, `br_if`.
        let rounds = r#"(loop $l (br_if $l (i32.lt_u
            (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))"#;
        assert_eq!(counted(&format!(r#"(func (export "_start") (local $i i32) {rounds})"#)), 70);
        assert_eq!(
            counted(
                r#"(global $g (mut i32) (i32.const 5)) (start $s)
                (func $s (global.set $g (i32.const 1)))
                (func $f (drop (global.get $g)))
                (func (export "_start") (call $f) (call $f))"#
            ),
            2 + 2 + 2 * 2
        );
    }

    #[test]
    fn a_kernel_that_traps_or_imports_is_an_error() {
        for items in [
            r#"(func (export "_start") unreachable)"#,
            r#"(import "a" "f" (func)) (func (export "_start"))"#,
            "",
        ] {
            let text = format!(r#"(module {items} (memory (export "memory") 1))"#);
            let kernel = Kernel { name: "test", wasm: wat::parse_str(text).unwrap() };
            assert!(matches!(count(&kernel), Err(CalibrationError::Kernel { .. })));
        }
    }
}
