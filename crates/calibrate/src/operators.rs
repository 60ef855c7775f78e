//! How many operators a kernel executes.
//!
//! An operator is one WebAssembly instruction that control reaches, other than the four that only delimit code:
//! `block`, `loop`, `else` and `end`. Every other one counts once, whatever it does: a `nop`, a call, a branch that is not
//! taken, a copy of a megabyte. No meter has a part in this: before each operator an increment of a global is put, and
//! the module runs in an interpreter.

use outlayer_executor::prepare::encode;
use wasmi::{Engine, Linker, Module, Store};
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

use crate::{CalibrationError, Kernel};

/// The export of the counter.
const COUNTER: &str = "outlayer:operators";

mod section {
    pub(super) const GLOBAL: u8 = 6;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const CODE: u8 = 10;
}

/// The operators that a kernel executes, its start function's included.
///
/// # Errors
/// [`CalibrationError::Kernel`] when it imports something or does not run to its end.
pub fn count(kernel: &Kernel) -> Result<u64, CalibrationError> {
    let failed = |error: &dyn std::fmt::Display| CalibrationError::kernel(kernel.name, error);
    let counting = instrument(&kernel.wasm).map_err(|error| failed(&error))?;
    let engine = Engine::default();
    let module = Module::new(&engine, &counting[..]).map_err(|error| failed(&error))?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .map_err(|error| failed(&error))?;
    instance
        .get_typed_func::<(), ()>(&store, "_start")
        .and_then(|start| start.call(&mut store, ()))
        .map_err(|error| failed(&error))?;
    let counter = instance.get_global(&store, COUNTER).map(|counter| counter.get(&store));
    let counted = counter.and_then(|counter| counter.i64());
    counted.map(i64::cast_unsigned).ok_or_else(|| failed(&"the counter is gone"))
}

/// The module with a counter: one more global, exported, and its increment before each operator.
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

/// A mutable `i64` that is zero.
const GLOBAL: &[u8] = &[0x7e, 1, 0x42, 0, 0x0b];

/// How many globals there are.
fn globals(code: &[u8]) -> Result<usize, BinaryReaderError> {
    for payload in Parser::new(0).parse_all(code) {
        if let Payload::GlobalSection(reader) = payload? {
            return Ok(reader.count() as usize);
        }
    }
    Ok(0)
}

/// A function's body with the increments in it.
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
        // The condition, the `if`, and one of the ways.
        let choice = |condition| {
            counted(&format!(
                r#"(func (export "_start")
                    (if (i32.const {condition}) (then nop) (else nop nop nop)))"#
            ))
        };
        assert_eq!((choice(1), choice(0)), (3, 5));
        // Three operands and a fill, whatever its length.
        assert_eq!(
            counted(
                r#"(func (export "_start") (memory.fill (i32.const 0) (i32.const 1) (i32.const 60000)))"#
            ),
            4
        );
    }

    #[test]
    fn loops_calls_globals_and_start_functions_are_followed() {
        // Ten rounds of seven: two reads, a sum with its constant, `local.tee`, a comparison with its constant, a branch.
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
        let kernel = |text: &str| Kernel { name: "test", wasm: wat::parse_str(text).unwrap() };
        for text in [
            r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#,
            r#"(module (import "a" "f" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
            r#"(module (memory (export "memory") 1))"#,
        ] {
            assert!(matches!(count(&kernel(text)), Err(CalibrationError::Kernel { .. })));
        }
    }
}
