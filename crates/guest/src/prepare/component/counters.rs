//! The module that holds what all modules of a component share, and how the host reaches it.
//!
//! In text, with the numbers as constants:
//!
//! ```wat
//! (module
//!   (type (func (param i32) (result i64))) (type (func)) (type (func (result i64)))
//!   (table 0 SUPPLY_TABLE funcref)
//!   (global $fuel (export "outlayer:fuel") (mut i64) (i64.const 0))
//!   (global $stack (export "outlayer:stack") (mut i64) (i64.const STACK_BYTES))
//!   (func $ask (param $bits i32) (result i64) (local $answer i64)
//!     (loop $next
//!       (if (local.get $bits) (then
//!         (local.set $answer (i64.or
//!           (i64.shl (local.get $answer) (i64.const 1))
//!           (i64.extend_i32_u
//!             (i32.ne (table.grow (ref.null func) (i32.const 1)) (i32.const -1)))))
//!         (local.set $bits (i32.add (local.get $bits) (i32.const -1)))
//!         (br $next))))
//!     (local.get $answer))
//!   (func $start (global.set $fuel
//!     (call $ask (i32.wrap_i64 (call $ask (i32.const SUPPLY_LENGTH_BITS))))))
//!   (func (export "left") (result i64) (global.get $fuel))
//!   (start $start))
//! ```

use super::{section, types::Counts};
use crate::prepare::{
    encode::{self, signed, unsigned},
    meter::{
        FUEL_EXPORT, FUEL_LEFT_EXPORT, STACK_BYTES, STACK_EXPORT, SUPPLY_LENGTH_BITS, SUPPLY_TABLE,
    },
    op,
};

/// The export of the function that gives what is left of the fuel.
const LEFT: &str = "left";

/// The module.
pub(super) fn module() -> Vec<u8> {
    const TYPE: u8 = 1;
    const FUNCTION: u8 = 3;
    const TABLE: u8 = 4;
    const GLOBAL: u8 = 6;
    const EXPORT: u8 = 7;
    const START: u8 = 8;
    const CODE: u8 = 10;
    const A_FUNCTION: u8 = 0;
    const A_GLOBAL: u8 = 3;

    let mut out = b"\0asm\x01\0\0\0".to_vec();
    let types = [
        [op::FUNCTION_TYPE, 1, op::I32, 1, op::I64].as_slice(),
        &[op::FUNCTION_TYPE, 0, 0],
        &[op::FUNCTION_TYPE, 0, 1, op::I64],
    ];
    encode::section(&mut out, TYPE, &[&[3], types.concat().as_slice()].concat());
    encode::section(&mut out, FUNCTION, &[3, 0, 1, 2]);
    let mut table = vec![1, op::FUNCREF, 1, 0];
    unsigned(&mut table, SUPPLY_TABLE);
    encode::section(&mut out, TABLE, &table);
    let mut globals = vec![2];
    for amount in [0, STACK_BYTES.into()] {
        globals.extend([op::I64, 1, op::I64_CONST]);
        signed(&mut globals, amount);
        globals.push(op::END);
    }
    encode::section(&mut out, GLOBAL, &globals);
    let mut exports = vec![3];
    for (name, kind, index) in
        [(FUEL_EXPORT, A_GLOBAL, 0), (STACK_EXPORT, A_GLOBAL, 1), (LEFT, A_FUNCTION, 2)]
    {
        encode::name(&mut exports, name);
        exports.extend([kind, index]);
    }
    encode::section(&mut out, EXPORT, &exports);
    encode::section(&mut out, START, &[1]);
    let mut code = vec![3];
    for body in [ask(), start(), vec![0, op::GLOBAL_GET, 0, op::END]] {
        unsigned(&mut code, body.len());
        code.extend(body);
    }
    encode::section(&mut out, CODE, &code);
    out
}

/// The body of the function that asks for a number of so many bits, the highest first.
fn ask() -> Vec<u8> {
    const BITS: u8 = 0;
    const ANSWER: u8 = 1;
    let mut out = vec![1, 1, op::I64];
    out.extend([op::LOOP, op::EMPTY_BLOCK, op::LOCAL_GET, BITS, op::IF, op::EMPTY_BLOCK]);
    out.extend([op::LOCAL_GET, ANSWER, op::I64_CONST, 1, op::I64_SHL]);
    out.extend([op::REF_NULL, op::FUNCREF, op::I32_CONST, 1, op::PREFIX, op::TABLE_GROW, 0]);
    out.push(op::I32_CONST);
    signed(&mut out, -1);
    out.extend([op::I32_NE, op::I64_EXTEND_I32_U, op::I64_OR, op::LOCAL_SET, ANSWER]);
    out.extend([op::LOCAL_GET, BITS, op::I32_CONST]);
    signed(&mut out, -1);
    out.extend([op::I32_ADD, op::LOCAL_SET, BITS, op::BR, 1, op::END, op::END]);
    out.extend([op::LOCAL_GET, ANSWER, op::END]);
    out
}

fn start() -> Vec<u8> {
    let mut out = vec![0, op::I32_CONST];
    signed(&mut out, SUPPLY_LENGTH_BITS.into());
    out.extend([op::CALL, 0, op::I32_WRAP_I64, op::CALL, 0, op::GLOBAL_SET, 0, op::END]);
    out
}

/// The sections that have a component export what is left, as [`FUEL_LEFT_EXPORT`]. They come after
/// all others, which define `counts`. The module's instance is the component's first.
pub(super) fn export(counts: &Counts) -> Vec<u8> {
    const CORE_FUNCTION: [u8; 2] = [0x00, 0x00];
    const FUNCTION: u8 = 0x01;
    const EXPORT_OF_CORE_INSTANCE: [u8; 2] = [0x01, 0];
    const FUNCTION_TYPE: u8 = 0x40;
    const S64: u8 = 0x78;
    const LIFT: [u8; 2] = [0x00, 0x00];
    const NO_OPTIONS: u8 = 0;
    const PLAIN_NAME: u8 = 0x00;
    const NO_TYPE: u8 = 0;

    let mut out = Vec::new();
    let mut alias = vec![1];
    alias.extend(CORE_FUNCTION);
    alias.extend(EXPORT_OF_CORE_INSTANCE);
    encode::name(&mut alias, LEFT);
    encode::section(&mut out, section::ALIAS, &alias);
    // No parameters, one result.
    encode::section(&mut out, section::TYPE, &[1, FUNCTION_TYPE, 0, 0, S64]);
    let mut lift = vec![1];
    lift.extend(LIFT);
    unsigned(&mut lift, counts.core_functions as usize);
    lift.push(NO_OPTIONS);
    unsigned(&mut lift, counts.types as usize);
    encode::section(&mut out, section::CANONICAL, &lift);
    let mut export = vec![1, PLAIN_NAME];
    encode::name(&mut export, FUEL_LEFT_EXPORT);
    export.push(FUNCTION);
    unsigned(&mut export, counts.functions as usize);
    export.push(NO_TYPE);
    encode::section(&mut out, section::EXPORT, &export);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_what_its_text_says() {
        let text: String = include_str!("counters.rs")
            .lines()
            .skip_while(|line| !line.contains("```wat"))
            .skip(1)
            .take_while(|line| !line.contains("```"))
            .map(|line| format!("{}\n", line.trim_start_matches("//!")))
            .collect();
        let text = text
            .replace("SUPPLY_TABLE", &SUPPLY_TABLE.to_string())
            .replace("STACK_BYTES", &STACK_BYTES.to_string())
            .replace("SUPPLY_LENGTH_BITS", &SUPPLY_LENGTH_BITS.to_string());
        let mut expected = wat::parse_str(text).unwrap();
        // The names of the text.
        let names = expected.windows(5).position(|bytes| bytes == b"\x04name").unwrap();
        let section = expected[..names].iter().rposition(|byte| *byte == 0).unwrap();
        expected.truncate(section);
        assert_eq!(module(), expected);
    }
}
