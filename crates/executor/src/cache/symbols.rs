//! wasmtime writes the name and place of each function into an artifact, for tools that disassemble
//! it. Nothing here reads them, so they are left out of what is kept, which makes a file a tenth
//! shorter and as much quicker to load.

use std::ops::Range;

/// Bytes in the header of an ELF file of 64 bits, and in that of one of its sections.
const HEADER: usize = 64;
/// A section with a table of symbols. The index of the section with their names stands in it.
const SYMBOLS: u32 = 2;
/// Everything is moved by a multiple of this many bytes, so that it stays aligned.
const ALIGNMENT: usize = 8;

/// The same artifact without its symbols; unchanged where it does not look as expected.
pub(super) fn strip(mut elf: Vec<u8>) -> Vec<u8> {
    if stripped(&mut elf).is_none() {
        tracing::debug!("a compiled module is kept with its symbols");
    }
    elf
}

/// Strips in place. `None`, before anything is changed, where that is not possible.
fn stripped(elf: &mut Vec<u8>) -> Option<()> {
    // 64 bits, the least significant byte first.
    if elf.get(..6)? != b"\x7fELF\x02\x01" || usize::from(u16_at(elf, 0x3a)?) != HEADER {
        return None;
    }
    let table = usize_at(elf, 0x28)?;
    let sections = (0..usize::from(u16_at(elf, 0x3c)?))
        .map(|index| Section::read(elf, table.checked_add(index.checked_mul(HEADER)?)?))
        .collect::<Option<Vec<_>>>()?;
    let symbols = sections.iter().find(|section| section.kind == SYMBOLS)?;
    let names = sections.get(symbols.link)?;
    // The names of the sections themselves are needed.
    if symbols.link == usize::from(u16_at(elf, 0x3e)?) || names.bytes.start < symbols.bytes.end {
        return None;
    }
    let is_cut = |section: &Section| section.at == symbols.at || section.at == names.at;
    let cut = symbols.bytes.start..names.bytes.end;
    let cut = cut.start..cut.end - cut.len() % ALIGNMENT;
    let mut moved = Vec::new();
    for section in sections.iter().filter(|section| !is_cut(section)) {
        if section.bytes.start >= names.bytes.end && section.alignment <= ALIGNMENT {
            moved.push((section.at + 0x18, section.bytes.start - cut.len()));
        } else if !section.bytes.is_empty() && section.bytes.end > cut.start {
            return None;
        }
    }
    if table < names.bytes.end {
        return None;
    }
    moved.extend([symbols, names].map(|section| (section.at + 0x18, cut.start)));
    moved.extend([symbols, names].map(|section| (section.at + 0x20, 0)));
    moved.push((0x28, table - cut.len()));
    for (at, value) in moved {
        elf.get_mut(at..at + 8)?.copy_from_slice(&(value as u64).to_le_bytes());
    }
    elf.drain(cut);
    Some(())
}

/// What a section's header says.
struct Section {
    /// Where the header is.
    at: usize,
    kind: u32,
    bytes: Range<usize>,
    link: usize,
    alignment: usize,
}

impl Section {
    fn read(elf: &[u8], at: usize) -> Option<Self> {
        elf.get(at..at.checked_add(HEADER)?)?;
        let (start, length) = (usize_at(elf, at + 0x18)?, usize_at(elf, at + 0x20)?);
        Some(Self {
            at,
            kind: u32_at(elf, at + 4)?,
            bytes: start..start.checked_add(length).filter(|end| *end <= elf.len())?,
            link: usize::try_from(u32_at(elf, at + 0x28)?).ok()?,
            alignment: usize_at(elf, at + 0x30)?,
        })
    }
}

fn bytes_at<const N: usize>(elf: &[u8], at: usize) -> Option<[u8; N]> {
    elf.get(at..)?.first_chunk().copied()
}

fn u16_at(elf: &[u8], at: usize) -> Option<u16> {
    bytes_at(elf, at).map(u16::from_le_bytes)
}

fn u32_at(elf: &[u8], at: usize) -> Option<u32> {
    bytes_at(elf, at).map(u32::from_le_bytes)
}

fn usize_at(elf: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes_at(elf, at)?)).ok()
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance, Module, Store, component::Component};

    use super::*;

    fn module(engine: &Engine) -> Vec<u8> {
        let functions: String = (0..200)
            .map(|n| format!("(func (export \"f{n}\") (result i32) (i32.load8_u (i32.const {n})))"))
            .collect();
        let data = "d".repeat(5_000);
        let text = format!("(module (memory 1) (data (i32.const 1) \"{data}\") {functions})");
        Module::new(engine, wat::parse_str(text).unwrap()).unwrap().serialize().unwrap()
    }

    #[test]
    fn an_artifact_is_shorter_and_runs_as_before() {
        let engine = Engine::default();
        let whole = module(&engine);
        let shorter = strip(whole.clone());
        assert!(shorter.len() + 200 * 24 < whole.len(), "{} of {}", shorter.len(), whole.len());
        // SAFETY: wasmtime's own artifact, but for its symbols.
        let module = unsafe { Module::deserialize(&engine, &shorter) }.unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        for (n, expected) in [(0, 0), (1, i32::from(b'd')), (199, i32::from(b'd'))] {
            let f = instance.get_typed_func::<(), i32>(&mut store, &format!("f{n}")).unwrap();
            assert_eq!(f.call(&mut store, ()).unwrap(), expected);
        }
        // What was stripped is not stripped further.
        assert_eq!(strip(shorter.clone()).len(), shorter.len());
    }

    #[test]
    fn a_component_is_shorter_too() {
        let engine = Engine::default();
        let text = r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#;
        let whole =
            Component::new(&engine, wat::parse_str(text).unwrap()).unwrap().serialize().unwrap();
        let shorter = strip(whole.clone());
        assert!(shorter.len() < whole.len());
        // SAFETY: wasmtime's own artifact, but for its symbols.
        unsafe { Component::deserialize(&engine, &shorter) }.unwrap();
    }

    #[test]
    fn whatever_else_it_is_it_stays_as_it_is() {
        let whole = module(&Engine::default());
        for cut in [0, 1, 5, 6, 63, 64, whole.len() / 2, whole.len() - 1] {
            assert_eq!(strip(whole[..cut].to_vec()), whole[..cut], "{cut}");
        }
        assert_eq!(strip(b"\x7fELF\x01\x01 of 32 bits".to_vec()), b"\x7fELF\x01\x01 of 32 bits");
        // A header that points anywhere.
        for at in [0x28, 0x2f, 0x3a, 0x3c, 0x3e] {
            let mut odd = whole.clone();
            odd[at] = 0xff;
            let _ = strip(odd);
        }
    }
}
