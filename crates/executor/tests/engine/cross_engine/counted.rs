//! Counts fuel in the plainest way: before each operator, what it costs.

use outlayer_executor::{
    fuel,
    prepare::{
        encode,
        meter::{FUEL_EXPORT, STACK_EXPORT},
    },
};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};

const I32: u8 = 0x7f;
const I64: u8 = 0x7e;
const END: u8 = 0x0b;
const GLOBAL_GET: u8 = 0x23;
const GLOBAL_SET: u8 = 0x24;
const I32_CONST: u8 = 0x41;
const I64_CONST: u8 = 0x42;
const I64_SUB: u8 = 0x7d;
const I64_EXTEND_I32_U: u8 = 0xad;

const GLOBALS: u8 = 6;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// A module that counts its fuel in a global, with room for an operand in the next. `None` for one
/// that grows its memory or a table, or has a start function, which this does not follow.
pub(crate) fn module(code: &[u8]) -> Option<Vec<u8>> {
    let mut first = 0;
    for payload in Parser::new(0).parse_all(code) {
        match payload.unwrap() {
            Payload::ImportSection(reader) => {
                let imports = reader.into_imports().map(Result::unwrap);
                let globals = imports.filter(|import| matches!(import.ty, TypeRef::Global(_)));
                first += u32::try_from(globals.count()).unwrap();
            }
            Payload::GlobalSection(reader) => first += reader.count(),
            Payload::StartSection { .. } => return None,
            _ => {}
        }
    }
    let mut out = code[..8].to_vec();
    let mut bodies = Vec::new();
    let mut has_globals = false;
    for payload in Parser::new(0).parse_all(code) {
        let payload = payload.unwrap();
        if let Payload::CodeSectionEntry(entry) = &payload {
            let mut counted = Vec::new();
            body(code, entry, first, &mut counted)?;
            encode::unsigned(&mut bodies, counted.len());
            bodies.extend(counted);
            continue;
        }
        let Some((id, range)) = payload.as_section() else { continue };
        if id > GLOBALS && !has_globals {
            globals(&mut out, &[0]);
            has_globals = true;
        }
        match id {
            0 => {}
            GLOBALS => {
                globals(&mut out, &code[range]);
                has_globals = true;
            }
            EXPORTS => {
                let mut exports = Vec::new();
                for (name, global) in [(FUEL_EXPORT, first), (STACK_EXPORT, first)] {
                    encode::unsigned(&mut exports, name.len());
                    exports.extend_from_slice(name.as_bytes());
                    exports.push(3);
                    encode::unsigned(&mut exports, global as usize);
                }
                encode::section(&mut out, id, &encode::extended(&code[range], 2, &exports));
            }
            CODE => {}
            _ => {
                finish(&mut out, &mut bodies, code);
                encode::section(&mut out, id, &code[range]);
            }
        }
    }
    finish(&mut out, &mut bodies, code);
    Some(out)
}

fn globals(out: &mut Vec<u8>, content: &[u8]) {
    let added = [I64, 1, I64_CONST, 0, END, I32, 1, I32_CONST, 0, END];
    encode::section(out, GLOBALS, &encode::extended(content, 2, &added));
}

/// Writes the section of all bodies, when they have been read.
fn finish(out: &mut Vec<u8>, bodies: &mut Vec<u8>, code: &[u8]) {
    if bodies.is_empty() {
        return;
    }
    let count = Parser::new(0)
        .parse_all(code)
        .filter(|payload| matches!(payload, Ok(Payload::CodeSectionEntry(_))))
        .count();
    let mut section = Vec::new();
    encode::unsigned(&mut section, count);
    section.append(bodies);
    encode::section(out, CODE, &section);
}

fn body(code: &[u8], body: &FunctionBody<'_>, fuel: u32, out: &mut Vec<u8>) -> Option<()> {
    let mut reader = body.get_operators_reader().unwrap();
    let mut at = reader.original_position();
    out.extend_from_slice(&code[body.range().start..at]);
    pay(out, fuel, fuel::ENTRY);
    while !reader.eof() {
        let operator = reader.read().unwrap();
        pay(out, fuel, cost(&operator)?);
        if is_bulk(&operator) {
            // The last operand is put aside, and paid for.
            index(out, GLOBAL_SET, fuel + 1);
            index(out, GLOBAL_GET, fuel);
            index(out, GLOBAL_GET, fuel + 1);
            out.extend([I64_EXTEND_I32_U, I64_SUB]);
            index(out, GLOBAL_SET, fuel);
            index(out, GLOBAL_GET, fuel + 1);
        }
        let end = reader.original_position();
        out.extend_from_slice(&code[at..end]);
        at = end;
    }
    Some(())
}

fn is_bulk(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
    )
}

fn cost(operator: &Operator<'_>) -> Option<u64> {
    Some(match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        Operator::RefFunc { .. } => fuel::REF_FUNC,
        Operator::MemoryGrow { .. } | Operator::TableGrow { .. } => return None,
        operator if is_bulk(operator) => fuel::BULK,
        _ => 1,
    })
}

/// `fuel -= units`
fn pay(out: &mut Vec<u8>, fuel: u32, units: u64) {
    if units > 0 {
        index(out, GLOBAL_GET, fuel);
        out.push(I64_CONST);
        encode::signed(out, units.cast_signed());
        out.push(I64_SUB);
        index(out, GLOBAL_SET, fuel);
    }
}

fn index(out: &mut Vec<u8>, operator: u8, index: u32) {
    out.push(operator);
    encode::unsigned(out, index as usize);
}
