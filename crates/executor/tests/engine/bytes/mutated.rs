//! Random guests: generated ones, and valid ones whose bytes were changed.

use std::sync::OnceLock;

use arbitrary::Unstructured;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasm_smith::{Component, Config, Module};

use super::{composed, crafted};

struct Random(ChaCha20Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % end as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn of<'a>(&mut self, all: &'a [Vec<u8>]) -> &'a [u8] {
        &all[self.below(all.len())]
    }
}

/// A module of any shape, with what a command exports where it happens to have that.
pub(crate) fn generated_module(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let bytes = random.bytes(2_048);
    let host = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func (param i32 i32 i32 i32) (result i32)))
        (import "outlayer" "log" (func (param i32 i32))))"#;
    let exports = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let config = Config {
        available_imports: Some(wat::parse_str(host).unwrap()),
        exports: Some(wat::parse_str(exports).unwrap()),
        max_imports: 4,
        max_funcs: 20,
        max_tables: 4,
        max_memories: 1,
        multi_value_enabled: !seed.is_multiple_of(3),
        simd_enabled: !seed.is_multiple_of(2),
        ..accepted()
    };
    Some(Module::new(config, &mut Unstructured::new(&bytes)).ok()?.to_bytes())
}

/// Wasm without what no guest may use. The generator's reference types are those of a garbage
/// collector too.
fn accepted() -> Config {
    Config {
        memory64_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        relaxed_simd_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        reference_types_enabled: false,
        ..Config::default()
    }
}

/// A component of any shape, around which there is a command in every second case.
pub(crate) fn generated_component(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let bytes = random.bytes(4_096);
    let config = accepted();
    if seed.is_multiple_of(2) {
        return Some(Component::new(config, &mut Unstructured::new(&bytes)).ok()?.to_bytes());
    }
    composed::component_of(&generated_module(seed)?)
}

fn seeds(of: fn() -> Vec<(String, Vec<u8>)>, most: usize) -> Vec<Vec<u8>> {
    of().into_iter().map(|(_, code)| code).filter(|code| (9..=most).contains(&code.len())).collect()
}

/// A module of the corpus or a crafted one, mutated.
pub(crate) fn module(seed: u64) -> Option<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    mutated(seed, SEEDS.get_or_init(|| seeds(crafted::seed_modules, 2_000)))
}

/// A component, mutated.
pub(crate) fn component(seed: u64) -> Option<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    mutated(seed, SEEDS.get_or_init(|| seeds(crafted::seed_components, 40_000)))
}

/// A NEAR contract, mutated.
pub(crate) fn contract(seed: u64) -> Option<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    mutated(seed, SEEDS.get_or_init(|| seeds(crafted::seed_contracts, 2_000)))
}

/// One of the seeds with one change behind its header, or two or three.
fn mutated(seed: u64, seeds: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let mut code = random.of(seeds).to_vec();
    for _ in 0..=random.below(5).saturating_sub(2) {
        if code.len() <= 8 {
            return None;
        }
        let at = 8 + random.below(code.len() - 8);
        let end = (at + 1 + random.below(32)).min(code.len());
        match random.below(8) {
            0 => code[at] ^= 1 << random.below(8),
            // Small numbers are counts, indices and opcodes.
            1 => code[at] = code[at].wrapping_add(1),
            2 => code[at] = code[at].wrapping_sub(1),
            3 => code[at] = random.bytes(1)[0],
            4 => drop(code.drain(at..end)),
            5 => {
                let part = code[at..end].to_vec();
                code.splice(at..at, part);
            }
            6 => {
                let other = random.of(seeds);
                let from = 8 + random.below(other.len() - 8);
                let part = other[from..(from + end - at).min(other.len())].to_vec();
                code.splice(at..end, part);
            }
            // The greatest number of 32 bits.
            _ => drop(code.splice(at..end.min(at + 1), [0xff, 0xff, 0xff, 0xff, 0x0f])),
        }
    }
    Some(code)
}
