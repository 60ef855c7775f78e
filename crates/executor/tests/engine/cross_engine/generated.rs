//! Commands made of generated modules: each function is called, and what they leave behind is
//! printed as one number.

use arbitrary::Unstructured;
use outlayer_executor::prepare::encode;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasm_smith::{Config, Module};
use wasmparser::{CompositeInnerType, FuncType, GlobalType, Parser, Payload, TypeRef, ValType};

/// How many calls and loop turns a module may make in all; then it traps.
const TURNS: u32 = 20_000;
/// How many bytes of memory go into the number.
const MEMORY_BYTES: u32 = 1 << 16;

/// Whether the generator guards every operation that could trap. The end of the turns still traps,
/// as `unreachable`.
pub(crate) fn is_free_of_traps(seed: u64) -> bool {
    !seed.is_multiple_of(4)
}

/// What generated modules use.
#[derive(Clone, Copy)]
pub(crate) struct Flavour {
    /// Vectors.
    pub(crate) simd: bool,
    /// Whether the generator makes every NaN the canonical one by itself.
    pub(crate) canonical: bool,
    /// Relaxed vector operators.
    pub(crate) relaxed: bool,
    /// Tail calls.
    pub(crate) tail_calls: bool,
    /// How many memories a module may have.
    pub(crate) memories: u8,
}

/// What every engine agrees on without help.
pub(crate) const PLAIN: Flavour =
    Flavour { simd: false, canonical: true, relaxed: false, tail_calls: false, memories: 1 };
/// What is newer, and every engine agrees on too.
pub(crate) const NEWER: Flavour = Flavour { tail_calls: true, memories: 3, ..PLAIN };
/// What engines differ in.
pub(crate) const FLOATS: Flavour = Flavour { simd: true, canonical: false, ..PLAIN };
/// With what engines differ in by design, and tail calls.
pub(crate) const RELAXED: Flavour = Flavour { relaxed: true, tail_calls: true, ..FLOATS };

/// A module from a seed. One in four has no guards, and may trap at any operation that can.
pub(crate) fn command(seed: u64, flavour: Flavour) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4_096];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    let host = r#"(module (import "wasi_snapshot_preview1" "fd_write"
        (func (param i32 i32 i32 i32) (result i32))))"#;
    let config = Config {
        available_imports: Some(wat::parse_str(host).unwrap()),
        min_imports: 1,
        max_imports: 1,
        max_exports: 0,
        min_funcs: 3,
        max_funcs: 8,
        min_globals: 2,
        max_globals: 6,
        min_memories: 1,
        max_memories: flavour.memories.into(),
        max_memory32_bytes: 1 << 20,
        max_tables: 1,
        max_table_elements: 1_000,
        canonicalize_nans: flavour.canonical,
        disallow_traps: is_free_of_traps(seed),
        allow_start_export: false,
        memory64_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        reference_types_enabled: false,
        multi_value_enabled: true,
        simd_enabled: flavour.simd,
        relaxed_simd_enabled: flavour.relaxed,
        tail_call_enabled: flavour.tail_calls,
        threads_enabled: false,
        extended_const_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        max_tags: 0,
        ..Config::default()
    };
    let mut module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(TURNS).ok()?;
    into_command(&module.to_bytes())
}

#[derive(Default)]
struct Shape {
    types: Vec<Option<FuncType>>,
    /// The type of each function, imports first.
    functions: Vec<u32>,
    imported: usize,
    globals: Vec<GlobalType>,
}

fn shape(code: &[u8]) -> Shape {
    let mut shape = Shape::default();
    for payload in Parser::new(0).parse_all(code) {
        match payload.unwrap() {
            Payload::TypeSection(reader) => {
                for ty in reader.into_iter().flat_map(|group| group.unwrap().into_types()) {
                    shape.types.push(match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    });
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let TypeRef::Func(ty) = import.unwrap().ty else { panic!() };
                    shape.functions.push(ty);
                    shape.imported += 1;
                }
            }
            Payload::FunctionSection(reader) => {
                shape.functions.extend(reader.into_iter().map(Result::unwrap));
            }
            Payload::GlobalSection(reader) => {
                shape.globals.extend(reader.into_iter().map(|global| global.unwrap().ty));
            }
            _ => {}
        }
    }
    shape
}

/// Appends `_start`, and exports it and the first memory. Each memory gets 16 pages at first and at
/// most 32.
fn into_command(code: &[u8]) -> Option<Vec<u8>> {
    let shape = shape(code);
    if shape.imported != 1 || shape.functions.len() < 2 {
        return None;
    }
    let mut out = code[..8].to_vec();
    let mut exported = false;
    let exports = {
        let mut content = [&[2, 6][..], b"_start", &[0]].concat();
        encode::unsigned(&mut content, shape.functions.len());
        content.extend_from_slice(&[&[6][..], b"memory", &[2, 0]].concat());
        content
    };
    let mut bodies: Option<Vec<u8>> = None;
    for payload in Parser::new(0).parse_all(code) {
        let payload = payload.unwrap();
        if let Payload::CodeSectionEntry(body) = &payload {
            let content = bodies.as_mut().unwrap();
            encode::unsigned(content, body.range().len());
            content.extend_from_slice(&code[body.range()]);
            continue;
        }
        if let Some(mut content) = bodies.take() {
            let body = start(&shape);
            encode::unsigned(&mut content, body.len());
            content.extend_from_slice(&body);
            encode::section(&mut out, 10, &content);
        }
        let Some((id, range)) = payload.as_section() else { continue };
        if !exported && id > 7 {
            encode::section(&mut out, 7, &exports);
            exported = true;
        }
        match id {
            1 => encode::section(&mut out, id, &encode::extended(&code[range], 1, &[0x60, 0, 0])),
            3 => {
                let mut ty = Vec::new();
                encode::unsigned(&mut ty, shape.types.len());
                encode::section(&mut out, id, &encode::extended(&code[range], 1, &ty));
            }
            5 => {
                let count = code[range.start];
                let memories = [1, 16, 32].repeat(count.into());
                encode::section(&mut out, id, &[vec![count], memories].concat());
            }
            7 => {}
            10 => {
                let Payload::CodeSectionStart { count, .. } = payload else { panic!() };
                let mut content = Vec::new();
                encode::unsigned(&mut content, count as usize + 1);
                bodies = Some(content);
            }
            _ => encode::section(&mut out, id, &code[range]),
        }
    }
    Some(out)
}

/// The body of `_start`. Local 0 is the number, local 1 an address.
fn start(shape: &Shape) -> Vec<u8> {
    let mut body = vec![2, 1, 0x7e, 1, 0x7f];
    for (index, ty) in shape.functions.iter().enumerate().skip(shape.imported) {
        let Some(ty) = &shape.types[*ty as usize] else { continue };
        ty.params().iter().for_each(|ty| constant(&mut body, *ty));
        body.push(0x10);
        encode::unsigned(&mut body, index);
        ty.results().iter().rev().for_each(|ty| mix(&mut body, *ty));
    }
    for (index, global) in shape.globals.iter().enumerate() {
        body.push(0x23);
        encode::unsigned(&mut body, index);
        mix(&mut body, global.content_type);
    }
    // memory.size, then each word of the beginning of the memory.
    body.extend_from_slice(&[0x3f, 0]);
    mix(&mut body, ValType::I32);
    body.extend_from_slice(&[0x03, 0x40, 0x20, 1, 0x29, 3, 0]);
    mix(&mut body, ValType::I64);
    body.extend_from_slice(&[0x20, 1, 0x41, 8, 0x6a, 0x22, 1, 0x41]);
    encode::signed(&mut body, i64::from(MEMORY_BYTES));
    body.extend_from_slice(&[0x49, 0x0d, 0, 0x0b]);
    // The number lies at 0, and a buffer of 8 bytes at 8: fd_write(1, 8, 1, 16).
    body.extend_from_slice(&[0x41, 0, 0x20, 0, 0x37, 3, 0]);
    body.extend_from_slice(&[0x41, 8, 0x41, 0, 0x36, 2, 0, 0x41, 12, 0x41, 8, 0x36, 2, 0]);
    body.extend_from_slice(&[0x41, 1, 0x41, 8, 0x41, 1, 0x41, 16, 0x10, 0, 0x1a, 0x0b]);
    body
}

/// Pushes a parameter of this type: 3, or a null reference.
fn constant(body: &mut Vec<u8>, ty: ValType) {
    match ty {
        ValType::I32 => body.extend_from_slice(&[0x41, 3]),
        ValType::I64 => body.extend_from_slice(&[0x42, 3]),
        ValType::F32 => body.extend([&[0x43][..], &3f32.to_le_bytes()].concat()),
        ValType::F64 => body.extend([&[0x44][..], &3f64.to_le_bytes()].concat()),
        ValType::V128 => body.extend([&[0xfd, 0x0c][..], &[3; 16]].concat()),
        _ => body.extend_from_slice(&[0xd0, 0x70]),
    }
}

/// Folds the topmost operand into the number: `(number xor operand) * 0x100000001b3`.
fn mix(body: &mut Vec<u8>, ty: ValType) {
    match ty {
        ValType::I32 => body.push(0xad),
        ValType::I64 => {}
        ValType::F32 => body.extend_from_slice(&[0xbc, 0xad]),
        ValType::F64 => body.push(0xbd),
        // Of a vector, its lower half.
        ValType::V128 => body.extend_from_slice(&[0xfd, 0x1d, 0]),
        _ => body.extend_from_slice(&[0xd1, 0xad]),
    }
    body.extend_from_slice(&[0x20, 0, 0x85, 0x42]);
    encode::signed(body, 0x0000_0100_0000_01b3);
    body.extend_from_slice(&[0x7e, 0x21, 0]);
}
